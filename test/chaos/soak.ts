/**
 * A soak of real time: one daemon, callers of every kind and manner, refreshes all along. After a warm-up its
 * memory stays flat, and when the callers have gone, what was there before is there again: descriptors, threads,
 * children, and the times a second at which it wakes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startLoad } from '../support/disk-load.ts';
import { children, descriptorCount, descriptors, descriptorsBesideCallers, residentKb, slope, threads, wakesPerSecond } from '../support/disk-proc.ts';
import { openRig, rigObstacle } from '../support/disk-rig.ts';
import type { Rig } from '../support/disk-rig.ts';
import { faults } from '../support/hostile-issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { during, must, seed } from './campaign.ts';
import type { Figures } from './campaign.ts';

/** Often, and with a count that is as fine: of a few samples the slope is chance. */
const SAMPLE_MS = 50;
const ILL_MS = 2_500;
/** Before it the code is compiled and the heap grows to what it needs. */
const WARM_UP = 1_500;
/**
 * What memory may grow by over the second half. A heap breathes by some MiB between two collections; a leak of
 * 100 bytes a request would be 10 MiB over the second half of 200,000.
 */
const BREATH_KB = 6_144;
/** Sixty-four processes that asked are known by two descriptors each. */
const KNOWN_MAX = 128;
const REST_S = 1;
const LOOKS = 3;
const IDLE_MS = 75_000;

/** @param requests - of the callers */
export async function run(requests: number): Promise<Figures | null> {
  const obstacle = process.platform === 'linux' ? rigObstacle() : 'what a process holds is read from /proc, on Linux';
  if (obstacle !== null) {
    console.log(`not run: ${obstacle}`);
    return null;
  }
  const rig = await openRig({
    // A small heap is collected often, so that what stays shows early.
    flags: ['--max-semi-space-size=1', '--max-old-space-size=40'],
    config: '[limits]\nrequests_per_second = 10000\nburst = 100000\nconnections_per_process = 256',
    profiles: (issuer) => [profileToml('spare', issuer, 'browser = ["/bin/true", "{url}"]')],
  });
  try {
    return await during(() => 'a soak', async () => {
      await rig.restart();
      must((await rig.signIn()).body.state === 'complete', 'the first sign-in');
      const speaksLines = await answersLines(rig);
      const pid = rig.pid();
      await callers(rig, WARM_UP, seed + 1, speaksLines, []);
      await settled(pid, 0);
      const before = { open: descriptorsBesideCallers(pid), threads: threads(pid), wakes: await calmWakes(pid) };

      const samples: (readonly [number, number])[] = [];
      const began = performance.now();
      const tally = await callers(rig, requests, seed, speaksLines, samples);
      const seconds = (performance.now() - began) / 1000;
      const half = samples.slice(Math.floor(samples.length / 2));
      const perRequestKb = slope(half);
      const grownKb = Math.round(perRequestKb * requests / 2);

      await settled(pid, before.open);
      const after = { open: descriptorsBesideCallers(pid), threads: threads(pid), wakes: await calmWakes(pid) };
      const figures = {
        requests, per_second: Math.round(requests / seconds), rss_mb: Math.round((samples.at(-1)?.[1] ?? 0) / 1024), grown_kb_second_half: grownKb,
        descriptors_before: before.open, descriptors_after: after.open, threads_before: before.threads, threads_after: after.threads,
        wakes_before: Math.round(before.wakes), wakes_after: Math.round(after.wakes), refreshes: rig.verdict().refreshes, requests_answered_in_frames: tally['line ok'] ?? 0,
      };
      console.log(`soak: ${Object.entries(figures).map(([name, value]) => `${name} ${value}`).join(', ')}`);
      console.log(`  answers: ${Object.entries(tally).toSorted(([, a], [, b]) => b - a).map(([what, count]) => `${what} ${count}`).join(', ')}`);

      must(!speaksLines || figures.requests_answered_in_frames > 0, 'frames were answered', tally);
      must(grownKb < BREATH_KB, 'memory is flat over the second half', figures);
      must(after.open <= before.open + 1, 'no descriptor is left', { before, after, kinds: descriptors(pid) });
      must(descriptorCount(pid) - after.open <= KNOWN_MAX, 'descriptors of callers are bounded', descriptors(pid));
      must(after.threads <= before.threads, 'no thread is left', figures);
      must(children(pid).length === 0, 'no child is left', children(pid));
      must(after.wakes <= 2 * before.wakes + 10, 'no timer is left that fires', figures);
      must(!/MaxListenersExceeded|unhandled_rejection|uncaught_exception|request_failed/.test(rig.log()), 'the log tells of no mistake', rig.log().slice(-800));
      must(unexpected(tally).length === 0, 'every caller was answered as it should be', unexpected(tally));
      await until(async () => (await rig.token({ force: true })).status === 200, 'it goes on');
      const status = (await rig.status()).body;
      must(status.logins.length <= 1, 'no sign-in is left in progress', status.logins);
      const verdict = rig.verdict();
      must(verdict.secondUses === 0 && verdict.grantsRevoked === 0, 'no token was used twice', verdict);
      must(await rig.stop() < 8_000, 'the end is bounded');
      return figures;
    });
  } finally {
    await rig.leave();
  }
}

/** The calmest of some looks: a timer that is left fires in all of them, a collection of garbage in one. */
async function calmWakes(pid: number): Promise<number> {
  let calmest = Infinity;
  for (let look = 0; look < LOOKS; look += 1) calmest = Math.min(calmest, await wakesPerSecond(pid, REST_S));
  return calmest;
}

/** The pause after an ill answer is no mistake. */
async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    if (await holds()) return;
    await sleep(200);
  }
  throw new Error(`${what}: not within 30 s`);
}

async function callers(rig: Rig, requests: number, seed: number, speaksLines: boolean, samples: (readonly [number, number])[]): Promise<Readonly<Record<string, number>>> {
  const load = startLoad(rig.socket, requests, seed, speaksLines, rig.as, rig.person.desktop);
  // An issuer that is ill from time to time: the refresh is put off, and the token in memory served.
  const illness = setInterval(() => void rig.shim.fault('token', faults.status(503)), ILL_MS);
  const sampling = setInterval(() => { if (load.count() > 0) samples.push([load.count(), residentKb(rig.pid())]); }, SAMPLE_MS);
  try {
    return await load.done;
  } finally {
    clearInterval(sampling);
    clearInterval(illness);
    load.child.kill('SIGKILL');
  }
}

/** Kept connections to the issuer close by themselves, the audit is synced. */
async function settled(pid: number, open: number): Promise<void> {
  let last = descriptorsBesideCallers(pid);
  for (let waited = 0, calm = 0; waited < IDLE_MS && (calm < 2_000 || (open > 0 && last > open)); waited += 250) {
    await sleep(250);
    const now = descriptorsBesideCallers(pid);
    calm = now === last ? calm + 250 : 0;
    last = now;
  }
}

/** A daemon that does not speak the line dialect answers in HTTP that it understood nothing. */
async function answersLines(rig: Rig): Promise<boolean> {
  return (await rig.person.say(`${JSON.stringify({ type: 'token', id: 1, data: { profile: 'work' } })}\n`)).startsWith('{');
}

const EXPECTED = /^(token|fresh|refresh|status|cancel|stream|line|login) ok$|^cut |^nonsense bad_request$|^absent login_required$|^login too_many_logins$|^stream 429$|^refresh (issuer_unreachable|deadline_exceeded)$|^line broken$/;

function unexpected(tally: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(tally).filter(([what]) => !EXPECTED.test(what)).map(([what, count]) => `${what} ${count}`);
}
