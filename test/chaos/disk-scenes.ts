/**
 * The disk of a living daemon turns bad and good again, at each step of a refresh: full to the last byte or the
 * last file, read-only, taken away by mode or owner, removed. A scene ends with the daemon killed and started
 * again: nothing may be lost that status did not warn of, and no refresh token be sent twice.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyAudit } from '../../client/audit/verify-log.ts';
import type { IssuerEvent } from '../../demo/issuer-ledger.ts';
import { takeAllFiles, takeAllSpace } from '../support/disk-space.ts';
import { openRig, rigObstacle } from '../support/disk-rig.ts';
import type { Rig, RigOptions } from '../support/disk-rig.ts';
import { smallDisk } from '../support/small-disk.ts';
import { isWarned } from './disk-calls.ts';
import { during, must, seeded, shuffled } from './campaign.ts';
import type { Figures } from './campaign.ts';

/** Makes the disk bad and returns what makes it good again. */
type Harm = (rig: Rig) => () => void;
type Scene = { readonly name: string; /** A mistake was found there once. */ readonly isAlwaysPlayed?: true; readonly disk: string | null; readonly rig?: RigOptions; readonly play: (rig: Rig) => Promise<void> };

/** The daemon tries again every five seconds. */
const SAVED_MS = 9_000;
const LANES = 3;

const full: Harm = (rig) => takeAllSpace(join(rig.stateDir, '..'));
const noFiles: Harm = (rig) => takeAllFiles(join(rig.stateDir, '..'));
const readOnly: Harm = ({ grantsDir }) => {
  mount('--bind', grantsDir, grantsDir);
  mount('-o', 'remount,bind,ro', grantsDir);
  return () => void spawnSync('umount', [grantsDir]);
};
const lockedDir: Harm = ({ grantsDir }) => {
  chmodSync(grantsDir, 0o500);
  return () => chmodSync(grantsDir, 0o700);
};
const foreignDir: Harm = ({ grantsDir, as }) => {
  chownSync(grantsDir, 0, 0);
  return () => chownSync(grantsDir, as.uid ?? 0, as.gid ?? 0);
};

function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  must(status === 0, `mount ${args.join(' ')}: ${stderr}`);
}

/** The moments of a refresh after its intent that can be seen from outside: the issuer's own steps. */
type Moment = Extract<IssuerEvent['name'], 'refresh_token.consumed' | 'grant.success'>;

async function harmedBefore(rig: Rig, harm: Harm): Promise<void> {
  const heal = harm(rig);
  const sent = rig.verdict().refreshes;
  const refused = await rig.token({ force: true });
  must(refused.body.code === 'vault_unwritable' && refused.body.retryable === true && String(refused.body.hint).length > 5, 'told as vault_unwritable with a next step', refused.body);
  must(rig.verdict().refreshes === sent, 'nothing was sent');
  must((await rig.token()).status === 200, 'the token in memory is served');
  heal();
  must((await rig.token({ force: true })).status === 200, 'the next refresh is made');
}

/** @param mustFail - the save cannot have worked; on a full disk it can, since the space was taken before */
async function harmedAt(rig: Rig, harm: Harm, moment: Moment, mustFail: boolean): Promise<void> {
  let heal: (() => void) | null = null;
  const off = rig.issuer.onEvent(({ name }) => { if (name === moment && heal === null) heal = harm(rig); });
  const reply = await rig.token({ force: true });
  off();
  must(heal !== null, `the issuer came to ${moment}`);
  must(reply.status === 200, 'the answer of the issuer is given out', reply.body);
  must(isWarned(await rig.status()) === mustFail, mustFail ? 'status warns' : 'it was saved', (await rig.status()).body.warnings);
  must((await rig.token()).body.access_token === reply.body.access_token, 'the new token is served');
  if (mustFail) must(rig.log().includes('vault_unwritable'), 'the log says so');
  (heal as () => void)();
  for (let waited = 0; waited < SAVED_MS && isWarned(await rig.status()); waited += 200) await sleep(200);
  must(!isWarned(await rig.status()), 'it is saved when the disk is good again');
}

async function survives(rig: Rig): Promise<void> {
  await rig.kill();
  await rig.restart();
  const after = await rig.token({ force: true });
  must(after.status === 200, 'no sign-in is needed after a kill', after.body);
}

const NAMED: readonly (readonly [string, Harm, string | null])[] = [
  ['full to the byte', full, 'size=1m'], ['without a free file', noFiles, 'size=4m,nr_inodes=40'],
  ['read-only', readOnly, 'size=4m'], ['closed by its mode', lockedDir, null], ['given to root', foreignDir, null],
];

const SCENES: readonly Scene[] = [
  ...NAMED.map(([name, harm, disk]): Scene => ({ name: `${name} before the intent`, disk, play: async (rig) => { await harmedBefore(rig, harm); await survives(rig); } })),
  ...NAMED.flatMap(([name, harm, disk]) => (['refresh_token.consumed', 'grant.success'] as const).map((moment): Scene => ({
    name: `${name} at ${moment}`, disk, play: async (rig) => { await harmedAt(rig, harm, moment, harm !== full && harm !== noFiles); await survives(rig); },
  }))),
  { name: 'full at the issuer\'s answer, and still full at the next start', disk: 'size=1m', play: stillFull },
  { name: 'filled and emptied by another writer all the time', disk: 'size=1m', play: contended },
  { name: 'filled by its own audit and log', isAlwaysPlayed: true, disk: 'size=512k', rig: { config: '[log]\nlevel = "debug"\nfile = "LOGFILE"\n[limits]\nrequests_per_second = 10000\nburst = 100000' }, play: filledByItself },
  { name: 'the state directory is removed', disk: null, play: (rig) => removed(rig, rig.stateDir) },
  { name: 'the folder of the grants is removed', disk: null, play: (rig) => removed(rig, rig.grantsDir) },
  { name: 'the lock file is unlinked', isAlwaysPlayed: true, disk: null, play: unlinkedLock },
];

async function stillFull(rig: Rig): Promise<void> {
  let heal: (() => void) | null = null;
  const off = rig.issuer.onEvent(({ name }) => { if (name === 'grant.success') heal ??= full(rig); });
  must((await rig.token({ force: true })).status === 200, 'the refresh is made');
  off();
  await rig.kill();
  const started = await rig.restart().then(() => null, (cause: unknown) => String(cause));
  if (started === null) {
    const asked = await rig.token({ force: true });
    // The file that the refresh replaced left a little room.
    must(asked.status === 200 || asked.body.code === 'vault_unwritable', 'a refresh is made whole or not begun', asked.body);
    must((await rig.token()).status === 200, 'the saved token is served');
  } else {
    must(started.includes('vault_unwritable') && started.includes('Free space'), 'or it says why it cannot start', started);
  }
  await rig.kill();
  (heal as (() => void) | null)?.();
  await rig.restart();
  must((await rig.token({ force: true })).status === 200, 'nothing was lost');
}

/** Whoever fills the disk meanwhile: the refresh is made or refused, never half made. */
async function contended(rig: Rig): Promise<void> {
  let stopped = false;
  const disk = join(rig.stateDir, '..');
  const writer = (async () => {
    while (!stopped) {
      const free = takeAllSpace(disk);
      await sleep(3);
      free();
      await sleep(4);
    }
  })();
  let made = 0;
  let refused = 0;
  for (let i = 0; i < 60; i += 1) {
    const reply = await rig.token({ force: true });
    must(reply.status === 200 || reply.body.code === 'vault_unwritable', 'made or refused', reply.body);
    if (reply.status === 200) made += 1;
    else refused += 1;
    // Else the two would fall into step.
    await sleep(i % 5);
  }
  stopped = true;
  await writer;
  must(made > 0 && refused > 0, 'both happened', { made, refused });
  must(rig.verdict().refreshes === made + 0, 'each refusal came before anything was sent', { made, refused, ...rig.verdict() });
  await survives(rig);
}

/** Strangers at the door are the cheapest way to have the daemon write: a record and a line each. */
async function filledByItself(rig: Rig): Promise<void> {
  const script = `const{connect}=require('node:net');let n=+process.argv[2];const go=()=>{if(n--<=0)process.exit();const s=connect(process.argv[1]);s.on('error',()=>{});s.on('close',()=>setImmediate(go))};for(let i=0;i<8;i++)go()`;
  const strangers = (count: number): void => void spawnSync(process.execPath, ['-e', script, rig.socket, String(count)], { timeout: 60_000 });
  const paths = [rig.base, rig.runDir, join(rig.runDir, 'valetkey')];
  for (const path of paths) chmodSync(path, 0o711);
  chmodSync(rig.socket, 0o777);
  for (let round = 0; round < 20 && !isAuditWarned(await rig.status()); round += 1) strangers(400);
  must(isAuditWarned(await rig.status()), 'the disk was filled, and status warns that the audit waits', (await rig.status()).body.warnings);
  must((await rig.token()).status === 200, 'a known caller goes on');
  strangers(1_500);
  must((await rig.status()).body.warnings.some((warning: string) => warning.includes('1000 records wait')), 'what waits is bounded', (await rig.status()).body.warnings);
  const refused = await rig.token({ force: true });
  must(refused.body.code === 'vault_unwritable', 'nothing is released without a record', refused.body);
  must(rig.verdict().secondUses === 0, 'and no token was used twice');
  mount('-o', 'remount,size=4m', join(rig.stateDir, '..'));
  for (let waited = 0; waited < 5_000 && isAuditWarned(await rig.status()); waited += 100) await sleep(100);
  must(!isAuditWarned(await rig.status()), 'what waited is written when there is space', (await rig.status()).body.warnings);
  must((await rig.token({ force: true })).status === 200, 'and refreshes go on');
  for (const path of paths) chmodSync(path, 0o700);
  await rig.stop();
  const verdict = await verifyAudit(join(rig.stateDir, 'audit/audit.jsonl'));
  must(verdict.kind === 'intact' && verdict.records > 1_000, 'the audit is whole', verdict);
  await rig.restart();
  must((await rig.token({ force: true })).status === 200, 'nothing was lost');
}

function isAuditWarned(status: { readonly body: { readonly warnings: readonly string[] } }): boolean {
  return status.body.warnings.some((warning) => warning.startsWith('audit:'));
}

async function removed(rig: Rig, dir: string): Promise<void> {
  rmSync(dir, { recursive: true });
  const sent = rig.verdict().refreshes;
  const refused = await rig.token({ force: true });
  must(refused.body.code === 'vault_unwritable' && String(refused.body.detail).includes('was removed'), 'it says what happened', refused.body);
  must(rig.verdict().refreshes === sent, 'nothing was sent');
  must((await rig.token()).status === 200, 'the token in memory is served');
  must(!existsSync(dir), 'what somebody removed is not made again in silence');
  must(await rig.stop() < 8_000, 'the end is bounded');
  await rig.restart();
  const after = await rig.token();
  must(after.body.code === 'login_required', 'a new start begins afresh', after.body);
  must((await rig.signIn()).body.state === 'complete', 'and takes a sign-in');
  must((await rig.token({ force: true })).status === 200, 'which is good');
}

async function unlinkedLock(rig: Rig): Promise<void> {
  rmSync(join(rig.stateDir, 'lock'));
  const second = rig.startSecond();
  const { code, said } = await second;
  must(code === 0 && said.includes('already_running'), 'a second daemon leaves', { code, said });
  for (let i = 0; i < 3; i += 1) must((await rig.token({ force: true })).status === 200, 'the first goes on');
  await rig.stop();
  const verdict = await verifyAudit(join(rig.stateDir, 'audit/audit.jsonl'));
  must(verdict.kind === 'intact', 'and its audit is whole', verdict);
  await rig.restart();
  must((await rig.token({ force: true })).status === 200, 'nothing was lost');
}

async function playScene({ disk, rig: options = {}, play }: Scene): Promise<void> {
  const small = disk === null ? null : smallDisk(disk);
  if (small !== null && 'obstacle' in small) throw new Error(small.obstacle);
  const stateHome = small === null ? {} : { stateHome: small.dir };
  const config = options.config?.replace('LOGFILE', join(small?.dir ?? '', 'own.log'));
  const rig = await openRig({ ...options, ...stateHome, ...(config === undefined ? {} : { config }) });
  try {
    await rig.restart();
    const signedIn = await rig.signIn();
    must(signedIn.body.state === 'complete', 'the first sign-in', signedIn.body);
    await play(rig);
    const verdict = rig.verdict();
    must(verdict.secondUses === 0 && verdict.grantsRevoked === 0, 'no refresh token was used twice', verdict);
    must(rig.openToOthers().length === 0, 'nothing can be read by others', rig.openToOthers());
  } finally {
    spawnSync('umount', ['--quiet', rig.grantsDir]);
    await rig.leave();
    small?.remove();
  }
}

/** @param size - how many scenes; each is drawn once */
export async function run(size: number): Promise<Figures | null> {
  const obstacle = rigObstacle();
  const probe = obstacle === null ? smallDisk('size=64k') : { obstacle };
  if ('obstacle' in probe) {
    console.log(`not run: ${probe.obstacle}`);
    return null;
  }
  probe.remove();
  const inOrder = shuffled(seeded(0, 7), SCENES).toSorted((a, b) => Number(b.isAlwaysPlayed ?? false) - Number(a.isAlwaysPlayed ?? false));
  const left = inOrder.slice(0, size);
  let scenes = 0;
  const lane = async (): Promise<void> => {
    for (let scene = left.shift(); scene !== undefined; scene = left.shift()) {
      const chosen = scene;
      const { name } = chosen;
      const began = performance.now();
      await during(() => `a disk ${name}`, () => playScene(chosen)).catch((cause: unknown) => {
        left.length = 0;
        throw cause;
      });
      scenes += 1;
      console.log(`  a disk ${name}: ${Math.round(performance.now() - began)} ms`);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: LANES }, lane));
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
  return { scenes, of: SCENES.length, second_uses_of_a_token: 0 };
}
