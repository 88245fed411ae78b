/**
 * A walk at random through what a grant can meet on a disk that fails at random: refreshes whose issuer is ill
 * or whose answer is lost, sign-ins, sign-outs, locks, ends and kills, one after the other on one state
 * directory. However it goes, no refresh token is sent a second time once it was answered, every caller is
 * answered, nothing becomes readable to others, and one sign-in at the end mends all that is left.
 */
import { readdirSync } from 'node:fs';
import { openFaultyRig } from '../support/disk-faults.ts';
import type { DiskFaults, Fault } from '../support/disk-faults.ts';
import type { Rig } from '../support/disk-rig.ts';
import { faults as ill } from '../support/hostile-issuer.ts';
import type { Fault as Illness } from '../support/hostile-issuer.ts';
import { during, must, pick, seeded } from './campaign.ts';
import type { Figures } from './campaign.ts';

type Reply = Awaited<ReturnType<Rig['token']>>;
type Step = { readonly name: string; readonly weight: number; readonly take: (rig: Rig) => Promise<Reply | null> };

const refresh = (rig: Rig): Promise<Reply> => rig.token({ force: true, wait_s: 8 });
async function illRefresh(rig: Rig, illness: Illness): Promise<Reply> {
  const laid = rig.shim.fault('token', illness);
  const reply = await refresh(rig);
  laid.cancel(); // nothing may have been sent
  return reply;
}

const STEPS: readonly Step[] = [
  { name: 'refresh', weight: 6, take: refresh },
  { name: 'refresh, the issuer is ill', weight: 3, take: (rig) => illRefresh(rig, ill.status(503)) },
  { name: 'refresh, the connection is cut before the request', weight: 1, take: (rig) => illRefresh(rig, ill.dropBefore()) },
  { name: 'refresh, the answer is lost', weight: 1, take: (rig) => illRefresh(rig, ill.lostAnswer()) },
  { name: 'sign-in', weight: 2, take: (rig) => rig.signIn() },
  { name: 'sign-out', weight: 1, take: (rig) => rig.person.ask('DELETE', '/v1/grants/work') },
  { name: 'lock', weight: 1, take: async (rig) => { await rig.person.ask('POST', '/v1/lock'); return rig.unlock(); } },
  { name: 'kill', weight: 3, take: async (rig) => { await rig.kill(); return null; } },
  { name: 'stop', weight: 1, take: async (rig) => { must(await rig.stop() < 12_000, 'the end is bounded'); return null; } },
];
const BAG = STEPS.flatMap((step) => Array.from({ length: step.weight }, () => step));
const WAYS: readonly Partial<Fault>[] = [
  { errno: 'EIO' }, { errno: 'ENOSPC' }, { how: 'done_but_failed', errno: 'EIO' }, { how: 'short' }, { how: 'hang', hangMs: 300 },
];
/** Sign-ins in a row that are taken as the broker's own limit allows; a start opens a new count. */
const STEPS_A_LIFE = 12;

/** @param size - how many steps */
export async function run(size: number): Promise<Figures | null> {
  const opened = await openFaultyRig();
  if (opened === null) return null;
  const { rig, faults } = opened;
  const trail: string[] = [];
  try {
    return await during(() => trail.slice(-8).join(' > '), async () => {
      await rig.restart();
      await rig.signIn();
      const fraction = seeded(0, 8);
      let lives = 0;
      let sinceStart = 0;
      for (let i = 0; i < size; i += 1) {
        const isOver = sinceStart >= STEPS_A_LIFE;
        const step = isOver ? BAG.find(({ name }) => name === 'kill') : pick(fraction, BAG);
        if (step === undefined) throw new Error('there is no step');
        const fault = fraction() < 0.6 ? someFault(fraction) : null;
        trail.push(`${step.name}${fault === null ? '' : ` [${fault.errno ?? ''} ${fault.how ?? 'fail'} ${fault.first}..${fault.last ?? fault.first} of ${fault.match}]`}`);
        const reply = await take(rig, faults, step, fault);
        trail.push(`= ${reply === null ? 'gone' : `${reply.status} ${String(reply.body?.code ?? reply.body?.source ?? reply.body?.state ?? '')}`}`);
        must(reply === null || reply.failed === null, 'the caller is answered', reply);
        must(rig.verdict().secondUses === 0, 'no refresh token is used twice', rig.verdict());
        sinceStart += 1;
        // Mostly at once, as a person would; then the walk goes on with something to lose.
        if (reply?.body?.code === 'login_required' && fraction() < 0.8) trail.push(`sign-in = ${String((await rig.signIn()).body.state)}`);
        if (reply !== null) continue;
        await rig.restart();
        lives += 1;
        sinceStart = 0;
      }
      await rig.kill();
      await rig.restart();
      const last = await rig.token({ force: true });
      if (last.status !== 200) {
        must(last.body.code === 'login_required', 'it works or asks for a sign-in', last.body);
        must((await rig.signIn()).body.state === 'complete', 'a sign-in mends it');
        must((await rig.token({ force: true })).status === 200, 'and it is good');
      }
      const verdict = rig.verdict();
      must(verdict.secondUses === 0, 'no refresh token is used twice', verdict);
      must(rig.openToOthers().length === 0, 'nothing can be read by others', rig.openToOthers());
      must(!readdirSync(rig.grantsDir).some((file) => file.includes('corrupt') || file.endsWith('.tmp')), 'no broken file is left', readdirSync(rig.grantsDir));
      return { steps: size, lives, refreshes: verdict.refreshes, 'sign-ins, of which most are steps': verdict.signIns, second_uses_of_a_token: verdict.secondUses };
    });
  } finally {
    await rig.leave();
    faults.remove();
  }
}

async function take(rig: Rig, faults: DiskFaults, step: Step, fault: Fault | null): Promise<Reply | null> {
  if (fault !== null) faults.arm(fault);
  const reply = await step.take(rig);
  faults.disarm();
  return reply;
}

function someFault(fraction: () => number): Fault {
  const first = 1 + Math.floor(fraction() * 16);
  const isLasting = fraction() < 0.4;
  return { match: pick(fraction, ['/valetkey/', '/grants/', '/audit/', '/revocations/']), first, last: isLasting ? 1_000_000 : first, ...pick(fraction, WAYS) };
}
