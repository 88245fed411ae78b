/**
 * Two things that run out or stand still: descriptors, taken by callers that open connections and say nothing,
 * and a keychain (a real gnome-keyring) that freezes at the start, at an unlock, and midway. The daemon says what
 * is wrong within the time of a request, serves what is in memory, loses nothing, ends when it is told to, and
 * is well again without a restart.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startPerson } from '../support/disk-person.ts';
import type { Reply } from '../support/disk-person.ts';
import { children, descriptorCount, descriptorsBesideCallers } from '../support/disk-proc.ts';
import { openRig, rigObstacle } from '../support/disk-rig.ts';
import type { Rig } from '../support/disk-rig.ts';
import { faults } from '../support/hostile-issuer.ts';
import { keyringObstacle, startKeyring } from '../support/keyring.ts';
import type { Keyring } from '../support/keyring.ts';
import { during, must, seed } from './campaign.ts';
import type { Figures } from './campaign.ts';

/** More than are needed to load what speaks to an issuer (128), and fewer than the holders can take. */
const DESCRIPTORS = 220;
const HOLDERS = 4;
/** Connections that say nothing are cut after five seconds. */
const WELL_MS = 8_000;
/** The daemon waits three seconds for a keychain; the rest is a machine with other work. */
const SAID_MS = 8_000;

/** @param size - how often descriptors run out */
export async function runDescriptors(size: number): Promise<Figures | null> {
  const obstacle = process.platform === 'linux' ? rigObstacle() : 'limits are set by prlimit(1), on Linux';
  if (obstacle !== null) {
    console.log(`not run: ${obstacle}`);
    return null;
  }
  const rig = await openRig({ through: ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`] });
  const holders = await Promise.all(Array.from({ length: HOLDERS }, (_, i) => startPerson(rig.socket, rig.runDir, rig.as, `holder${i}`)));
  try {
    return await during(() => 'descriptors that run out', async () => {
      await rig.restart();
      must((await rig.signIn()).body.state === 'complete', 'the first sign-in');
      const figures = { rounds: 0, held: 0, most_open: 0, recovery_ms: 0, refused_meanwhile: 0 };
      const atRest = descriptorsBesideCallers(rig.pid());
      const pid = rig.pid();
      for (let round = 0; round < size; round += 1) {
        // One holder alone is stopped by what a process may have; others go on.
        figures.held = (await holders[0]?.hold(DESCRIPTORS)) ?? 0;
        must(figures.held <= 64, 'one process holds what one process may', figures.held);
        must((await rig.token()).status === 200, 'others go on beside it');
        rig.shim.fault('token', faults.delay(2_500));
        const onTheWire = rig.token({ force: true });
        await sleep(400);
        const others = await Promise.all(holders.slice(1).map((holder) => holder.hold(DESCRIPTORS)));
        figures.most_open = Math.max(figures.most_open, descriptorCount(pid));
        // What each process may have is more than there is. For how long the last descriptor is taken is a matter of luck:
        // who cannot be looked at for want of one is refused, and gives back that of its connection.
        must(figures.held + others.reduce((sum, each) => sum + each, 0) < HOLDERS * 64, 'descriptors ran out', others);
        const meanwhile = await rig.token();
        if (meanwhile.status !== 200) figures.refused_meanwhile += 1;
        const reply = await onTheWire;
        must(reply.status === 200, 'the refresh on the wire is finished and given out', reply);
        await Promise.all(holders.map((holder) => holder.letGo()));
        const began = performance.now();
        let well = await rig.token();
        while (well.status !== 200 && performance.now() - began < WELL_MS) {
          await sleep(50);
          well = await rig.token();
        }
        figures.recovery_ms = Math.max(figures.recovery_ms, Math.round(performance.now() - began));
        must(well.status === 200 && well.body.access_token === reply.body.access_token, 'it is well again, with what it was given', well);
        must((await rig.token({ force: true })).status === 200, 'and refreshes');
        must(rig.pid() === pid, 'without a restart');
        figures.rounds += 1;
      }
      await until(() => descriptorsBesideCallers(pid) <= atRest + 4, 'the descriptors come back');
      await rig.kill();
      await rig.restart();
      must((await rig.token({ force: true })).status === 200, 'nothing was lost');
      must(rig.verdict().secondUses === 0 && rig.verdict().grantsRevoked === 0, 'no token was used twice', rig.verdict());
      return figures;
    });
  } finally {
    for (const holder of holders) await holder.leave();
    await rig.leave();
  }
}

/** @param size - how many things are frozen, the keyring and its bus in turn */
export async function runKeychain(size: number): Promise<Figures | null> {
  const obstacle = keyringObstacle() ?? rigObstacle();
  if (obstacle !== null) {
    console.log(`not run: ${obstacle}`);
    return null;
  }
  const keyring = await startKeyring();
  // The keyring is of the user who runs the test, and answers nobody else.
  const rig = await openRig({ backend: 'keychain', env: { DBUS_SESSION_BUS_ADDRESS: keyring.env['DBUS_SESSION_BUS_ADDRESS'] ?? '' }, as: {} });
  const figures = { freezes: 0, slowest_answer_ms: 0, slowest_start_ms: 0, slowest_stop_ms: 0, slowest_recovery_ms: 0 };
  const note = (name: keyof typeof figures, ms: number): void => { figures[name] = Math.max(figures[name], Math.round(ms)); };
  try {
    return await during(() => 'a keychain that freezes', async () => {
      await rig.start();
      await until(async () => (await rig.status()).body.vault.state === 'open' || (await rig.token()).status === 0, 'the vault opens');
      must((await rig.signIn()).body.state === 'complete', 'the first sign-in');
      for (let round = 0; round < size; round += 1) {
        const what = (seed + round) % 2 === 0 ? 'keyring' : 'bus';
        await frozenMidway(rig, keyring, what, note);
        await frozenAtStart(rig, keyring, what, note);
        await frozenAtUnlock(rig, keyring, what, note);
        figures.freezes += 3;
      }
      must(rig.verdict().secondUses === 0 && rig.verdict().signIns === 1, 'no sign-in was needed, no token used twice', rig.verdict());
      must(rig.openToOthers().length === 0, 'nothing can be read by others');
      return figures;
    });
  } finally {
    for (const each of ['thaw', 'thawBus'] as const) keyring[each]();
    await rig.leave();
    await keyring.stop();
  }
}

type What = 'keyring' | 'bus';
type Note = (name: 'slowest_answer_ms' | 'slowest_start_ms' | 'slowest_stop_ms' | 'slowest_recovery_ms', ms: number) => void;
const freeze = (keyring: Keyring, what: What): void => (what === 'bus' ? keyring.freezeBus() : keyring.freeze());
const thaw = (keyring: Keyring, what: What): void => (what === 'bus' ? keyring.thawBus() : keyring.thaw());

/** An open vault needs no keychain: not for a refresh, and not to end. */
async function frozenMidway(rig: Rig, keyring: Keyring, what: What, note: Note): Promise<void> {
  freeze(keyring, what);
  must((await rig.token()).status === 200, `with a frozen ${what} the token in memory is served`);
  const refreshed = await rig.token({ force: true });
  must(refreshed.status === 200, `with a frozen ${what} refreshes go on`, refreshed);
  note('slowest_answer_ms', refreshed.ms);
  const ms = await rig.stop();
  note('slowest_stop_ms', ms);
  must(ms < SAID_MS, 'the end is bounded', ms);
}

async function frozenAtStart(rig: Rig, keyring: Keyring, what: What, note: Note): Promise<void> {
  const began = performance.now();
  await rig.start();
  note('slowest_start_ms', performance.now() - began);
  const asked = await rig.token();
  note('slowest_answer_ms', asked.ms);
  must(asked.body.code === 'vault_unavailable' && asked.ms < SAID_MS && String(asked.body.hint).length > 5, `a start with a frozen ${what} says so`, asked);
  const { vault } = (await rig.status()).body;
  must(vault.state === 'unavailable' && String(vault.detail).length > 10, 'and status says what', vault);
  // Its end is not held up by the question that nobody answers.
  const ms = await rig.stop();
  note('slowest_stop_ms', ms);
  must(ms < SAID_MS, 'the end is bounded', ms);
  await rig.start();
  await rig.token();
  thaw(keyring, what);
  await well(rig, `once the ${what} goes on`, note, () => rig.token({ force: true }));
}

async function frozenAtUnlock(rig: Rig, keyring: Keyring, what: What, note: Note): Promise<void> {
  must((await rig.person.ask('POST', '/v1/lock')).status === 200, 'it locks');
  freeze(keyring, what);
  const asked = await rig.person.ask('POST', '/v1/unlock', {});
  note('slowest_answer_ms', asked.ms);
  must(asked.body.code === 'vault_unavailable' && asked.ms < SAID_MS && String(asked.body.hint).length > 5, `an unlock with a frozen ${what} says so`, asked);
  thaw(keyring, what);
  await well(rig, `an unlock once the ${what} goes on`, note, () => rig.person.ask('POST', '/v1/unlock', {}));
  must((await rig.token({ force: true })).status === 200, 'and refreshes go on');
  await until(() => children(rig.pid()).length === 0, 'no question to the keychain is left behind');
}

async function well(rig: Rig, what: string, note: Note, ask: () => Promise<Reply>): Promise<void> {
  const began = performance.now();
  let reply = await ask();
  while (reply.status !== 200 && performance.now() - began < 2 * SAID_MS) {
    await sleep(100);
    reply = await ask();
  }
  note('slowest_recovery_ms', performance.now() - began);
  must(reply.status === 200, `it is well ${what}`, { reply, log: rig.log().slice(-400) });
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error(`${what}: not within 10 s`);
}
