/** cargo, which speaks with its provider until it closes the pipe; the protocol itself is adapters/cargo.ts. */
import { answerCargo, CARGO_HELLO, failCargo, isCargoIndex, readCargoAsk } from '../adapters/cargo.ts';
import { cleanText } from '../clean-text.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { INPUT_MAX, originFor, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

export type CargoOptions = Bound & { readonly bare?: boolean };

async function answer(context: CommandContext, options: CargoOptions, line: string): Promise<string> {
  const ask = readCargoAsk(line);
  if (ask.kind === 'unreadable') return failCargo('other', 'valetkey does not know what cargo asks', '');
  if (ask.kind === 'unsupported') return failCargo('operation-not-supported', 'valetkey does not know this action of cargo\'s', '');
  try {
    if (!isCargoIndex(ask.index, await originFor(context, options))) return failCargo('url-not-supported', `the token of ${options.profile} is for another registry`, '');
    if (ask.kind === 'keep') return failCargo('other', `nothing is kept here but the token of the profile ${options.profile}`, `To sign in or out, run: valetkey login ${options.profile}, or valetkey logout ${options.profile}`);
    return answerCargo(await tokenFor(context, options.profile), options.bare === true ? null : 'Bearer');
  } catch (error) {
    if (!(error instanceof ValetkeyError)) throw error;
    return failCargo('other', cleanText(`${error.code}: ${error.detail}`), cleanText(error.hint));
  }
}

export async function run(context: CommandContext, options: CargoOptions): Promise<void> {
  context.terminal.raw(CARGO_HELLO);
  for await (const line of context.stdinLines(INPUT_MAX)) context.terminal.raw(await answer(context, options, line));
}
