/**
 * Every single call by which a refresh, a sign-in and a sign-out touch the disk fails once, in every way in
 * which a disk can: not done, done but said to have failed, half done, late, interrupted. Then the daemon is
 * stopped or killed and started again. What must hold: nothing is lost that the caller was not told of, a
 * refresh token is never sent a second time, what is on the disk is one whole generation, and private.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFaultyRig } from '../support/disk-faults.ts';
import type { DiskFaults, Fault } from '../support/disk-faults.ts';
import type { Reply } from '../support/disk-person.ts';
import type { Rig } from '../support/disk-rig.ts';
import { during, must, seeded, shuffled } from './campaign.ts';
import type { Figures } from './campaign.ts';

type Verb = 'refresh' | 'sign-in' | 'sign-out';
const WAYS = {
  EIO: { how: 'fail', errno: 'EIO' },
  ENOSPC: { how: 'fail', errno: 'ENOSPC' },
  EROFS: { how: 'fail', errno: 'EROFS' },
  'EIO although done': { how: 'done_but_failed', errno: 'EIO' },
  EINTR: { how: 'fail', errno: 'EINTR' },
  'a short write': { how: 'short', errno: 'EIO' },
  'a hang': { how: 'hang', hangMs: 700 },
} as const satisfies Record<string, Partial<Fault>>;
type Way = keyof typeof WAYS;
type Case = { readonly verb: Verb; readonly at: number; readonly way: Way; readonly end: 'stop' | 'kill' };

const VERBS: readonly Verb[] = ['refresh', 'sign-in', 'sign-out'];
const ALL = '/valetkey/';
/** A caller's request ends within this, whatever the disk does. */
const ANSWER_MS = 12_000;
const HANG_MS = 3_000;

/** @param size - how many cases; each is drawn once */
export async function run(size: number): Promise<Figures | null> {
  const opened = await openFaultyRig();
  if (opened === null) return null;
  const { rig, faults } = opened;
  const counts = { cases: 0, of: 0, struck: 0, told_unwritable: 0, told_unsaved: 0, sign_ins_after_a_kill: 0, cached_while_it_hangs_ms: 0 };
  let now = 'counting the calls';
  try {
    await during(() => now, async () => {
      await rig.restart();
      must((await rig.signIn()).body.state === 'complete', 'the first sign-in');
      now = 'a disk that hangs under a refresh';
      counts.cached_while_it_hangs_ms = await askWhileItHangs(rig, faults);
      const calls = await countCalls(rig, faults);
      const all = VERBS.flatMap((verb) => Array.from({ length: calls[verb] }, (_, i) => i + 1)
        .flatMap((at) => (Object.keys(WAYS) as Way[]).flatMap((way) => (['stop', 'kill'] as const).map((end): Case => ({ verb, at, way, end })))));
      counts.of = all.length;
      console.log(`calls that touch the disk: ${VERBS.map((verb) => `${verb} ${calls[verb]}`).join(', ')}; ${all.length} cases`);
      for (const each of shuffled(seeded(0, 6), all).slice(0, size)) {
        now = `${each.verb}, call ${each.at}, ${each.way}, then ${each.end}`;
        await runCase(rig, faults, each, counts);
        counts.cases += 1;
        if (counts.cases % 50 === 0) console.log(`  ${counts.cases} cases`);
      }
    });
  } finally {
    await rig.leave();
    faults.remove();
  }
  return counts;
}

/** A sync that takes seconds holds up the refresh that waits for it, and nobody else. */
async function askWhileItHangs(rig: Rig, faults: DiskFaults): Promise<number> {
  faults.arm({ match: '/grants/', first: 5, how: 'hang', hangMs: HANG_MS });
  const slow = rig.token({ force: true });
  await sleep(HANG_MS / 5);
  const replies = [await rig.token(), await rig.status(), await rig.token()];
  const ms = Math.round(Math.max(...replies.map((reply) => reply.ms)));
  must(replies.every(({ status }) => status === 200) && ms < HANG_MS / 2, 'others are answered meanwhile', replies.map(({ status, ms: took }) => ({ status, took })));
  const late = await slow;
  must(late.status === 200 && late.ms >= HANG_MS, 'the refresh is made when the disk goes on', late);
  must(faults.disarm().struck === 1, 'one call hung');
  return ms;
}

async function countCalls(rig: Rig, faults: DiskFaults): Promise<Record<Verb, number>> {
  const of = async (verb: Verb): Promise<number> => {
    faults.arm({ match: ALL, first: 0 });
    await perform(rig, verb);
    return faults.disarm().calls.length;
  };
  const calls = { refresh: await of('refresh'), 'sign-out': await of('sign-out'), 'sign-in': await of('sign-in') };
  must(calls.refresh >= 10 && calls['sign-in'] >= 6 && calls['sign-out'] >= 10, 'the library sees the calls of the daemon', calls);
  return calls;
}

function perform(rig: Rig, verb: Verb): Promise<Reply> {
  switch (verb) {
    case 'refresh': return rig.token({ force: true });
    case 'sign-in': return rig.signIn();
    case 'sign-out': return rig.person.ask('DELETE', '/v1/grants/work');
  }
}

type Counts = Record<'struck' | 'told_unwritable' | 'told_unsaved' | 'sign_ins_after_a_kill', number>;

async function runCase(rig: Rig, faults: DiskFaults, { verb, at, way, end }: Case, counts: Counts): Promise<void> {
  const before = rig.verdict();
  faults.arm({ match: ALL, first: at, ...WAYS[way] });
  const reply = await perform(rig, verb);
  const { struck } = faults.disarm();
  counts.struck += struck;
  must(reply.failed === null && reply.ms < ANSWER_MS, 'the caller was answered', reply);
  const isDone = verb === 'sign-in' ? reply.body.state === 'complete' : reply.status === 200;
  const code = verb === 'sign-in' ? reply.body.error?.code ?? reply.body.code : reply.body.code;
  must(isDone || code === 'vault_unwritable', 'a disk that fails is told as vault_unwritable', reply.body);
  if (!isDone) {
    counts.told_unwritable += 1;
    // An intent that could not be written keeps the token from being sent.
    if (verb === 'refresh') must(rig.verdict().refreshes === before.refreshes, 'nothing was sent without an intent on the disk');
  }
  const isUnsaved = isWarned(await rig.status());
  if (isUnsaved) counts.told_unsaved += 1;
  if (verb !== 'sign-out') must((await rig.token()).status === 200, 'what is in memory is served');
  const ms = end === 'stop' ? await rig.stop() : await rig.kill().then(() => 0);
  must(ms < ANSWER_MS, 'the end is bounded', ms);

  await rig.restart();
  const after = await rig.token({ force: true });
  if (verb === 'sign-out') {
    must(after.body.code === 'login_required' || !isDone, 'what was signed out stays so', after.body);
    if (isDone) must(!filesOf(rig).some((file) => file.startsWith('work.')), 'no file of the grant is left', filesOf(rig));
  } else {
    // Only what the caller of status could have known of may be gone, and only by a kill.
    const mayBeLost = end === 'kill' && (isUnsaved || (verb === 'sign-in' && !isDone));
    must(after.status === 200 || (mayBeLost && after.body.code === 'login_required'), 'nothing is lost', { after: after.body, isUnsaved });
  }
  if (after.status !== 200) {
    if (verb !== 'sign-out') counts.sign_ins_after_a_kill += 1;
    must((await rig.signIn()).body.state === 'complete', 'a sign-in mends it');
    must((await rig.token({ force: true })).status === 200, 'and it is good');
  }
  const verdict = rig.verdict();
  must(verdict.secondUses === 0, 'no refresh token was used twice', verdict);
  if (verb !== 'sign-out') must(verdict.grantsRevoked === before.grantsRevoked, 'the issuer raised no alarm', verdict);
  must(rig.openToOthers().length === 0, 'nothing can be read by others', rig.openToOthers());
  must(filesOf(rig).join() === 'work.jwe', 'one whole generation is on the disk and nothing else', filesOf(rig));
}

export function isWarned(status: Reply): boolean {
  return (status.body.warnings as readonly string[]).some((warning) => warning.includes('kept in memory'));
}

function filesOf(rig: Rig): readonly string[] {
  return readdirSync(rig.grantsDir);
}
