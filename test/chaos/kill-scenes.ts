/**
 * What the daemon is doing when it is killed: one scene for each way in which it writes. `prepare` leads up to
 * the moment from which the plan holds; `act` is what the kill interrupts; `expect` says what the user may find
 * afterwards, by the label and by what the issuer's ledger says was spent.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Issuer, Laptop } from './rig.ts';

/** `sign_in`: and exactly one. `either`: whether the daemon had got so far cannot be known from outside. */
export type Expected = 'token' | 'sign_in' | 'either';

export type Stage = { readonly laptop: Laptop; readonly issuer: Issuer };
export type Scene = {
  readonly name: string;
  /** On a laptop that has no vault yet. */
  readonly isFirst?: true;
  /** The sign-in that it needs is the user's wish or the test's sabotage: no answer was lost. */
  readonly isWished?: true;
  /** It breaks a file by hand; what is set aside stays. */
  readonly damages?: true;
  readonly prepare: (stage: Stage) => Promise<void>;
  readonly act: (stage: Stage) => Promise<unknown>;
  /** @param label - where it died; null: it did not */
  readonly expect: (label: string | null, consumed: number, didFinish: boolean) => Expected;
};

/**
 * The intent is there and the token was not sent: from the disk this cannot be told from a token that was. Only
 * these few steps may cost a sign-in although nothing was lost.
 */
const INTENT_UNSENT = ['vault.write.renamed', 'vault.write.dir-synced', 'refresh.intent-durable'];
/** From here on the answer is on the disk, in whatever file. */
const ANSWER_KEPT = [
  'vault.answer.written', 'vault.answer.cut', 'vault.answer.synced', 'vault.answer.renamed', 'vault.answer.dir-synced',
  'book.commit.saved', 'refresh.saved', 'refresh.audited',
];

export const isUnsent = (label: string): boolean => INTENT_UNSENT.includes(label);

const nothing = async (): Promise<void> => undefined;
const refresh = ({ laptop }: Stage): Promise<unknown> => laptop.token({ force: true });

/** Kills it at a step before the scene begins. */
async function diesAt(stage: Stage, label: string, during: () => Promise<unknown>): Promise<void> {
  const { laptop } = stage;
  laptop.desk.arm({ label, nth: 1, action: 'kill' });
  const answer = await during().catch(() => null); // its connection breaks
  if (answer !== null && !isBroken(answer)) throw new Error(`it did not die at ${label}: ${JSON.stringify(answer)}`);
  await laptop.running?.exited;
  laptop.running = null;
  laptop.desk.disarm();
}

/** The person at the terminal tells of a broken connection instead of throwing. */
function isBroken(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'state' in answer && answer.state === 'broken';
}

/** Starts it and asks: by then everything that was left behind has been taken up. */
async function startAndLook({ laptop }: Stage): Promise<void> {
  if ((await laptop.start()) === null) return;
  await laptop.token();
}

export const SCENES: readonly Scene[] = [
  {
    name: 'refresh', prepare: nothing, act: refresh,
    expect(label, consumed) {
      if (label === null) return 'token';
      if (consumed === 0) return isUnsent(label) ? 'either' : 'token';
      return ANSWER_KEPT.includes(label) || label.startsWith('audit.') ? 'token' : 'sign_in';
    },
  },
  {
    name: 'refresh that cannot be sent',
    prepare: ({ issuer }) => issuer.shim.down(),
    act: refresh,
    // Without a connection nothing says that a token was sent.
    expect: () => 'token',
  },
  { name: 'sign-in over an old one', prepare: nothing, act: ({ laptop }) => laptop.signIn(), expect: () => 'token' },
  {
    name: 'first sign-in', isFirst: true, isWished: true, prepare: nothing,
    act: async ({ laptop }) => ((await laptop.start()) === null ? null : laptop.signIn()),
    expect: (_label, _consumed, didFinish) => (didFinish ? 'token' : 'either'),
  },
  {
    name: 'sign-out', isWished: true, prepare: nothing,
    act: ({ laptop }) => laptop.api('DELETE', '/v1/grants/work'),
    // With its tombstones written it is over, whatever comes.
    expect: (label) => (label === null || label === 'book.take.prepared' ? 'sign_in' : 'either'),
  },
  {
    name: 'sign-out that the issuer does not hear', isWished: true,
    prepare: async (stage) => {
      stage.issuer.shim.judge = ({ endpoint }) => (endpoint === 'revocation' ? { kind: 'reset_before' } : { kind: 'pass' });
      await stage.laptop.api('DELETE', '/v1/grants/work');
      await stage.laptop.kill();
      stage.issuer.shim.clear();
    },
    act: startAndLook,
    expect: () => 'sign_in',
  },
  {
    name: 'panic', isWished: true, prepare: nothing,
    act: ({ laptop }) => laptop.api('POST', '/v1/panic'),
    // Before the mark it did not happen; from the mark on it did, whatever comes.
    expect: (label) => (label === null || label === 'panic.marked' || label.startsWith('book.take.') ? 'sign_in' : 'either'),
  },
  {
    name: 'recovery of a lost answer',
    prepare: (stage) => diesAt(stage, 'refresh.answered', () => refresh(stage)),
    act: startAndLook,
    expect: () => 'sign_in',
  },
  {
    name: 'recovery of an answer that was not moved to its place',
    prepare: (stage) => diesAt(stage, 'vault.answer.written', () => refresh(stage)),
    act: startAndLook,
    expect: () => 'token',
  },
  {
    name: 'sweep of a half written file',
    prepare: (stage) => diesAt(stage, 'vault.write.written', () => stage.laptop.signIn()),
    act: startAndLook,
    expect: () => 'token',
  },
  {
    name: 'a file that somebody damaged', isWished: true, damages: true,
    prepare: async ({ laptop }) => {
      await laptop.kill();
      const dir = join(laptop.stateDir, 'grants');
      for (const name of readdirSync(dir)) writeFileSync(join(dir, name), 'not ours');
    },
    act: startAndLook,
    expect: () => 'sign_in',
  },
  {
    name: 'end by SIGTERM', prepare: nothing,
    act: async ({ laptop }) => {
      laptop.running?.child.kill('SIGTERM');
      await laptop.running?.exited;
    },
    expect: () => 'token',
  },
];
