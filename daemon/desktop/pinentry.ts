/**
 * One dialog of a pinentry, the program by which GnuPG asks people on every desktop: CONFIRM for a yes, GETPIN for a
 * yes with a PIN. The program is started with nothing of the daemon's environment, and ended with its dialog.
 * Only an OK to the question itself is a yes. One that dies, hangs, floods or says what may not come has said nothing.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { DialogAnswer, DialogText } from '../core/desktop-port.ts';
import type { Clock } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { commandLine, GPG_ERR, isSendable, LINE_MAX, readReply } from './assuan.ts';
import type { Reply } from './assuan.ts';

export type PinentryDeps = { readonly clock: Pick<Clock, 'boottimeMs' | 'sleep'> };

export type Run = {
  /** An absolute path. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where to show it, in the program's own words, e.g. ttyname. */
  readonly options: readonly (readonly [string, string])[];
  readonly text: DialogText;
  readonly lifeMs: number;
};

/** More than all its answers to one dialog, with asides. */
const OUTPUT_MAX = 16_384;
/** To start, and to take what the dialog says. */
const START_MS = 10_000;
/** Beyond the program's own timeout. */
const MARGIN_MS = 5_000;

type Step = { readonly line: string; readonly mayFail: boolean };

/** Null where the text is longer than the protocol lets it be: it is not shown in part. */
function stepsOf({ options, text, lifeMs }: Run): readonly Step[] | null {
  const { title, lines, yes, no, pin } = text;
  const step = (name: string, argument: string | null, mayFail = false): Step => ({ line: commandLine(name, argument), mayFail });
  const steps = [
    ...options.map(([name, value]) => step('OPTION', `${name}=${value}`)),
    // Older ones know neither.
    step('SETTITLE', title, true),
    step('SETTIMEOUT', String(Math.ceil(lifeMs / 1000)), true),
    step('SETDESC', lines.join('\n')),
    step('SETOK', yes),
    step('SETCANCEL', no),
    ...(pin === null ? [] : [step('SETPROMPT', pin.prompt)]),
    ...(pin === null || pin.error === null ? [] : [step('SETERROR', pin.error)]),
  ];
  return steps.every(({ line }) => isSendable(line)) ? steps : null;
}

export async function runPinentry(deps: PinentryDeps, run: Run, signal: AbortSignal): Promise<DialogAnswer> {
  const steps = stepsOf(run);
  if (steps === null) return none('the question is longer than a dialog takes');
  if (signal.aborted) return none('the question ended');
  const child = spawn(run.program, [], { env: { ...run.env }, cwd: '/', stdio: 'pipe', windowsHide: true });
  const over = new AbortController();
  const talk = new Talk(child);
  const leave = (): void => talk.fail('the question ended');
  signal.addEventListener('abort', leave, { once: true });
  // What nobody waits for any more.
  const late = (ms: number): void => void deps.clock.sleep(ms, over.signal).then(() => talk.fail('it did not answer in time'), () => undefined);
  late(START_MS + run.lifeMs + MARGIN_MS);
  try {
    return await converse(deps, run, steps, talk);
  } catch (cause) {
    if (!(cause instanceof Broken)) throw cause;
    return none(cause.message);
  } finally {
    signal.removeEventListener('abort', leave);
    over.abort();
    talk.end();
  }
}

async function converse({ clock }: PinentryDeps, { text }: Run, steps: readonly Step[], talk: Talk): Promise<DialogAnswer> {
  if ((await talk.reply()).kind !== 'ok') throw new Broken('it did not greet');
  for (const { line, mayFail } of steps) {
    const { kind } = await talk.say(line);
    if (kind !== 'ok' && !(mayFail && kind === 'error')) throw new Broken(`it refused ${line.split(' ', 1)[0] ?? ''}`);
  }
  const askedAtMs = clock.boottimeMs();
  const answer = await talk.say(commandLine(text.pin === null ? 'CONFIRM' : 'GETPIN', null));
  const afterMs = clock.boottimeMs() - askedAtMs;
  if (answer.kind === 'error') return errorAnswer(answer.code, afterMs);
  if (text.pin === null) return answer.kind === 'ok' ? { kind: 'yes', pin: null, afterMs } : none('it answered a question that was not asked');
  // GETPIN: the line with the PIN, then the OK. Without a line it is empty.
  if (answer.kind !== 'bytes') return answer.kind === 'ok' ? { kind: 'yes', pin: new Secret(''), afterMs } : none('it answered a question that was not asked');
  return (await talk.reply()).kind === 'ok' ? { kind: 'yes', pin: new Secret(answer.text), afterMs } : none('it did not end its answer');
}

function errorAnswer(code: number, afterMs: number): DialogAnswer {
  switch (code) {
    case GPG_ERR.CANCELED:
    case GPG_ERR.NOT_CONFIRMED:
    case GPG_ERR.FULLY_CANCELED:
      return { kind: 'no', afterMs };
    case GPG_ERR.TIMEOUT:
      return none('nobody answered');
    default:
      return none(`it failed with ${code}`);
  }
}

function none(why: string): DialogAnswer {
  return { kind: 'none', why };
}

/** The program said, or did, what it should not have. */
class Broken extends Error {}

/** Lines to and from the program, within bounds. After the first fault nothing that it says counts. */
class Talk {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #replies: Reply[] = [];
  #rest = '';
  #size = 0;
  #broken: Broken | null = null;
  #wake: () => void = () => undefined;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.on('error', () => this.fail('it could not be started'));
    child.on('close', () => this.fail('it ended'));
    child.stdin.on('error', () => this.fail('it does not listen'));
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => this.#take(chunk));
    // What it complains of is nobody's business, and must not fill a pipe.
    child.stderr.resume();
  }

  /** @throws Broken */
  async say(line: string): Promise<Reply> {
    if (this.#replies.length > 0) throw new Broken('it spoke out of turn');
    this.#child.stdin.write(line);
    return this.reply();
  }

  /** @throws Broken */
  async reply(): Promise<Reply> {
    for (;;) {
      // An answer that came before the fault does not outlive it.
      if (this.#broken !== null) throw this.#broken;
      const next = this.#replies.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  fail(why: string): void {
    this.#broken ??= new Broken(why);
    this.#wake();
  }

  /** It has nothing to lose: no file, no state. */
  end(): void {
    this.fail('it is over');
    this.#child.stdin.destroy();
    this.#child.kill('SIGKILL');
  }

  #take(chunk: string): void {
    if (this.#broken !== null) return;
    this.#size += chunk.length;
    this.#rest += chunk;
    if (this.#size > OUTPUT_MAX) return this.fail('it said too much');
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length >= LINE_MAX) return this.fail('it sent a line that is too long');
    for (const line of lines) {
      if (line.length >= LINE_MAX) return this.fail('it sent a line that is too long');
      const reply = readReply(Buffer.from(line.replace(/\r$/, ''), 'latin1').toString('utf8'));
      if (reply.kind === 'nonsense') return this.fail('it said what it should not');
      if (reply.kind !== 'aside') this.#replies.push(reply);
    }
    return this.#wake();
  }
}
