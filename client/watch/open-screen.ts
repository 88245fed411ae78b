import { ReadStream, WriteStream } from 'node:tty';
import type { Env, World } from '../command.ts';
import { takesColour } from '../terminal.ts';
import { openLiveScreen } from './live-screen.ts';

const STDOUT = 1;

/** Null where either end is no terminal, or one that cannot move its cursor. */
export function screenOpener(env: Env): World['openScreen'] {
  const { stdin: input, stdout: output } = process;
  if (!(input instanceof ReadStream) || !(output instanceof WriteStream) || env['TERM'] === 'dumb') return null;
  return (events) => openLiveScreen({ input, output, outputFd: STDOUT, takesColour: takesColour(output, env) }, events);
}
