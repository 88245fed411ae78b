/**
 * The person at the controlling terminal, apart from standard input and output: a question is seen and
 * answered even where those are pipes, and is not answered by a pipe. What is shown is cleaned like
 * everything (terminal.ts, rule 6). This asks for attention; it does not prove that a person is there.
 */
import { closeSync, openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { cleanText } from './clean-text.ts';

export type Question = {
  readonly signal: AbortSignal;
  /** Do not show what is typed. */
  readonly hidden?: boolean;
};

export type Person = {
  show(lines: readonly string[]): void;
  /** One line without its end; null at the end of the input. @throws the signal's reason */
  ask(question: string, options: Question): Promise<string | null>;
  close(): void;
};

const ANSWER_MAX = 1024;

/** What has been typed so far, in raw mode, where the terminal edits nothing for us. */
type Typed = { readonly kind: 'more' | 'done' | 'interrupted' | 'ended'; readonly text: string };

/** One key in raw mode: Return, Ctrl-C, Ctrl-D, Backspace, Ctrl-U, else text. */
export function typeKey(text: string, key: string): Typed {
  if (key === '\r' || key === '\n') return { kind: 'done', text };
  if (key === '\u0003') return { kind: 'interrupted', text: '' };
  if (key === '\u0004') return text === '' ? { kind: 'ended', text } : { kind: 'done', text };
  if (key === '\u007f' || key === '\b') return { kind: 'more', text: [...text].slice(0, -1).join('') };
  if (key === '\u0015') return { kind: 'more', text: '' };
  return { kind: 'more', text: key >= ' ' && text.length < ANSWER_MAX ? text + key : text };
}

/** @returns null where there is no controlling terminal. */
export function meetPerson(path = '/dev/tty'): Person | null {
  const fds: number[] = [];
  try {
    fds.push(openSync(path, 'r'), openSync(path, 'w'));
  } catch {
    for (const fd of fds) closeSync(fd);
    return null; // ENXIO, ENOENT or EACCES: nobody to ask, which the caller has to say
  }
  const [inFd, outFd] = fds;
  if (inFd === undefined || outFd === undefined) return null;
  const input = new ReadStream(inFd);
  const output = new WriteStream(outFd);
  input.setEncoding('utf8').pause();

  async function readLine(question: string, { signal, hidden = false }: Question): Promise<string | null> {
    signal.throwIfAborted();
    // Whoever has seen the question may type.
    if (hidden) input.setRawMode(true);
    output.write(question);
    let text = '';
    return new Promise<string | null>((resolve, reject) => {
      const finish = (settle: () => void) => {
        input.off('data', onData).off('end', onEnd).off('error', onEnd).pause();
        signal.removeEventListener('abort', onAbort);
        if (hidden) {
          input.setRawMode(false);
          output.write('\n');
        }
        settle();
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const onEnd = () => finish(() => resolve(null));
      const onData = (chunk: string) => {
        for (const key of chunk) {
          const typed = typeKey(text, key);
          text = typed.text;
          if (typed.kind === 'done') return finish(() => resolve(text));
          if (typed.kind === 'ended') return onEnd();
          if (typed.kind === 'interrupted') {
            // Raw mode swallows the signal that Ctrl-C stands for; whoever handles it aborts us.
            process.kill(process.pid, 'SIGINT');
            return undefined;
          }
        }
        return undefined;
      };
      input.on('data', onData).on('end', onEnd).on('error', onEnd);
      signal.addEventListener('abort', onAbort, { once: true });
      input.resume();
    });
  }

  return {
    show(lines) {
      for (const line of lines) output.write(`${cleanText(line)}\n`);
    },
    ask: (question, options) => readLine(`${cleanText(question)} `, options),
    close() {
      input.destroy();
      output.destroy();
    },
  };
}
