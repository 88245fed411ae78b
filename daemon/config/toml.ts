import { parse } from 'smol-toml';
import type { TomlTableWithoutBigInt } from 'smol-toml';

/** The only way in which this project reads TOML. Keys such as __proto__ are an error, nesting is shallow. */
export function parseToml(text: string): TomlTableWithoutBigInt {
  return parse(text, { integersAsBigInt: false, unsafeKeyBehaviour: 'throw', maxDepth: 16 });
}
