/**
 * Has V8 free at once what nobody holds any more. Each use of a key makes a copy of it inside of OpenSSL, which is
 * overwritten when it is freed, and freed when the garbage is collected; strings of tokens go as well, though what they
 * leave is written over only by what comes after them. For the rare moment in which secrets have to leave memory.
 */
import { runInNewContext } from 'node:vm';

export function collectGarbage(): void {
  // Not before it is needed, which for most daemons is never.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  // Only contexts that are made after the flag have it: nothing else in the process ever sees it.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
