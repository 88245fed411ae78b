/** What the signed checkpoints and the turned pages of the audit log prove, on a real disk (AL-05). */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compactVerify, importJWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAudit } from '../../client/audit/verify-log.ts';
import type { AuditEvent } from '../../daemon/core/ports.ts';
import { Checkpoints } from '../../daemon/audit/checkpoints.ts';
import { auditPath, openAudit } from '../../daemon/audit/open-audit.ts';
import { newSeed, SealedAuditKeys } from '../../daemon/vault/audit-keys.ts';
import { GENESIS, readAuditLine } from '../../shared/audit-line.ts';
import { profileName, someCaller } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LogSink } from '../support/fakes.ts';

let parent: string;
let dir: string;
let path: string;
let clock: FakeClock;
let log: LogSink;
let keys: SealedAuditKeys;

const event = (n: number): AuditEvent => ({ event: 'token_released', profile: profileName('work'), caller: someCaller(), request: `r-${n}`, facts: { n } });
const open = (fullBytes?: number) => openAudit({ dir, clock, log, ...(fullBytes === undefined ? {} : { fullBytes }) });
const lines = (file = path): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');
const records = (file = path) => lines(file).map((line) => JSON.parse(line));
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What an attacker without the key can do: alter records and compute every hash anew. */
function rechain(change: (record: Record<string, unknown>) => Record<string, unknown> | null): void {
  let prev = GENESIS;
  let seq = 0;
  const forged = records().flatMap((record) => {
    const changed = change(record);
    if (changed === null) return [];
    const { hash: _, ...rest } = changed;
    const body = JSON.stringify({ ...rest, seq: (seq += 1), prev });
    prev = sha256(body);
    return [`${body.slice(0, -1)},"hash":"${prev}"}`];
  });
  writeFileSync(path, `${forged.join('\n')}\n`);
  writeFileSync(join(dir, 'audit.head'), `1 ${seq} ${prev}\n`);
}

async function write(count: number, from = 1): Promise<void> {
  const audit = await open();
  await audit.useKeys(keys);
  for (let n = from; n < from + count; n += 1) await audit.append(event(n));
  await audit.close();
}

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-proof-')));
  dir = join(parent, 'audit');
  path = auditPath(dir);
  clock = new FakeClock();
  log = new LogSink();
  keys = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

describe('checkpoints', () => {
  it('are made at the end, after 256 records and after ten minutes, and any JOSE library takes them', async () => {
    const audit = await open();
    await audit.useKeys(keys);
    for (let n = 1; n <= 300; n += 1) await audit.append(event(n));
    await clock.advance(1_000);
    await expect.poll(() => records().filter((r) => r.event === 'audit_checkpoint').length).toBe(1);
    await audit.append(event(301));
    await clock.advance(601_000);
    await expect.poll(() => records().filter((r) => r.event === 'audit_checkpoint').length).toBe(2);
    await audit.append(event(302));
    await audit.close();
    const made = records().filter((r) => r.event === 'audit_checkpoint');
    expect(made).toHaveLength(3);
    for (const { seq, prev, facts } of made) {
      const { payload, protectedHeader } = await compactVerify(facts.jws, await importJWK(facts.key, 'EdDSA'));
      expect(protectedHeader).toMatchObject({ alg: 'EdDSA', kid: keys.kid });
      expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({ seq: seq - 1, hash: prev });
    }
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', checkpoints: 3, signed: { seq: 304, kid: keys.kid }, kids: [keys.kid] });
    expect(keys.last).toMatchObject({ seq: 305 });
  });

  it('[AL-05] show a log that was written anew, where the chain alone does not', async () => {
    await write(5);
    rechain((record) => ({ ...record, caller: null }));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 6, why: 'its signature does not hold' });
  });

  it('do not show their own removal to a reader of the file alone; the vault does', async () => {
    await write(5);
    rechain((record) => (record['event'] === 'audit_checkpoint' ? null : { ...record, profile: 'other' }));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', checkpoints: 0, signed: null });
    expect(await verifyAudit(path, { heads: [keys.last ?? { seq: 0, hash: '' }], kid: null })).toMatchObject({ kind: 'broken', why: 'records 6 to 6 are missing at the end' });
  });

  it.each([
    ['every signature was taken out', () => rechain((record) => (record['event'] === 'audit_checkpoint' ? null : { ...record, profile: 'other' }))],
    ['all of it was deleted', () => rmSync(dir, { recursive: true })],
  ])('[AL-05] are missed by whoever names the key, where %s', async (_what, forge) => {
    await write(5);
    forge();
    expect(await verifyAudit(path, { heads: [], kid: keys.kid })).toMatchObject({ kind: 'broken', file: 'audit.jsonl', why: expect.stringContaining('nothing in the log is signed') });
  });

  it('of another key are refused where the key is known', async () => {
    await write(3);
    const forger = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
    rechain((record) => (record['event'] === 'audit_checkpoint' ? null : record));
    const audit = await open();
    await audit.useKeys(forger);
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', kids: [forger.kid] });
    expect(await verifyAudit(path, { heads: [], kid: keys.kid })).toMatchObject({ kind: 'broken', why: expect.stringContaining('another key') });
  });

  it('cannot borrow a name: a key that is not the one of the header is refused', async () => {
    await write(1);
    const forger = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
    const [first] = records();
    rechain((record) => (record['event'] === 'audit_checkpoint' ? { ...record, facts: { jws: forger.sign({ seq: 1, hash: first.hash, at: 1 }), kid: keys.kid, key: keys.publicKey } } : record));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 2, why: 'its signature does not hold' });
  });

  it('[AL-05] a log that ends before the last signature is told at the next start, and for good', async () => {
    await write(4);
    const last = keys.last?.seq ?? 0;
    const kept = lines().slice(0, 2);
    writeFileSync(path, `${kept.join('\n')}\n`);
    rmSync(join(dir, 'audit.head'));
    await write(1, 10);
    expect(log.lines).toContainEqual(expect.objectContaining({ event: 'audit_truncated', fields: { signed: last, found: 2 } }));
    expect(records().find((r) => r.event === 'audit_truncated').facts).toMatchObject({ signed_seq: last, found_seq: 2 });
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
  });

  it.each([
    ['and a little longer', 3],
    ['and longer than what is read at a start', 400],
  ])('[AL-05] a log that was written anew while no daemon ran %s is told before it is signed, and for good', async (_how, more) => {
    await write(5);
    const signed = keys.last ?? expect.unreachable('nothing is signed');
    rechain((record) => (record['event'] === 'audit_checkpoint' ? null : { ...record, profile: 'other' }));
    const stranger = await open();
    for (let n = 0; n < more; n += 1) await stranger.append(event(n));
    await stranger.close();
    const audit = await open();
    await audit.useKeys(keys);
    expect(audit.state().detections).toMatchObject([{ detector: 'audit_tampered', what: expect.stringContaining('rewrote the audit log') }]);
    await audit.append(event(900));
    await audit.close();
    expect(log.lines).toContainEqual(expect.objectContaining({ event: 'audit_tampered' }));
    const [told, ...others] = records().filter((r) => r.event === 'audit_tampered');
    expect(told.facts).toEqual({ what: 'rewritten', signed_seq: signed.seq, signed_hash: signed.hash });
    expect(others).toEqual([]);
    expect(records().filter((r) => r.event === 'audit_unsigned')).toEqual([]);
    await write(1, 901);
    expect(records().filter((r) => r.event === 'audit_tampered')).toHaveLength(1);
    // What stands there by then is whole, and signed; that is why it has to be told before.
    expect(await verifyAudit(path, { heads: [], kid: keys.kid })).toMatchObject({ kind: 'intact', told: [{ seq: told.seq, event: 'audit_tampered' }] });
  });

  it('[AL-05] an older log of the same key in the place of this one, and some records of somebody\'s own behind it, is told', async () => {
    await write(4);
    const older = readFileSync(path);
    rmSync(dir, { recursive: true }); // somebody put it away, and the log began anew
    await write(12);
    writeFileSync(path, older);
    rmSync(join(dir, 'audit.head'));
    const stranger = await open();
    for (let n = 0; n < 20; n += 1) await stranger.append(event(n));
    await stranger.close();
    await write(1, 900);
    expect(records().map((r) => r.event)).toContain('audit_tampered');
  });

  it('finds what was signed behind a turned page and a long time without keys, and says nothing', async () => {
    const audit = await open(4_096);
    await audit.useKeys(keys);
    for (let n = 0; n < 4; n += 1) await audit.append(event(n));
    await audit.useKeys(null);
    for (let n = 0; n < 400; n += 1) await audit.append(event(n));
    await audit.close();
    expect(readdirSync(dir).length).toBeGreaterThan(4);
    await write(1, 900);
    expect(records().map((r) => r.event)).toContain('audit_unsigned');
    expect(records().map((r) => r.event)).not.toContain('audit_tampered');
  });

  it('what nobody had signed when the daemon came back is named before it is signed, once', async () => {
    await write(2);
    const signed = keys.last?.seq ?? 0;
    // As a daemon without keys would, or anybody who can write the file.
    const stranger = await open();
    await stranger.append(event(66));
    await stranger.close();
    await write(1, 3);
    expect(records().filter((r) => r.event === 'audit_unsigned').map(({ facts }) => facts)).toEqual([{ from_seq: signed + 1, to_seq: signed + 1 }]);
    await write(1, 4);
    expect(records().filter((r) => r.event === 'audit_unsigned')).toHaveLength(1);
    expect(log.lines.filter((line) => line.event === 'audit_truncated')).toEqual([]);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
  });

  it('are not remembered by the vault before they are on the disk', async () => {
    const audit = await open();
    await audit.append(event(1));
    void audit.useKeys(keys);
    expect(keys.last).toBeNull();
    await clock.advance(1_000);
    await expect.poll(() => keys.last?.seq).toBe(2);
    await audit.close();
  });

  it('are not remembered while only what came before them is on the disk', async () => {
    let head = { seq: 4, hash: 'a'.repeat(64) };
    const checkpoints = new Checkpoints({ clock, log, append: () => { head = { seq: head.seq + 1, hash: 'b'.repeat(64) }; }, head: () => head, hashOf: async () => null, onForged: () => undefined });
    checkpoints.useKeys(keys);
    checkpoints.synced({ seq: 4, hash: 'a'.repeat(64) });
    await checkpoints.settled();
    expect(keys.last).toBeNull();
    checkpoints.synced(head);
    await checkpoints.settled();
    expect(keys.last).toEqual({ seq: 5, hash: 'b'.repeat(64) });
  });

  it('end with the keys, and are taken up with them', async () => {
    const audit = await open();
    await audit.useKeys(keys);
    await audit.append(event(1));
    await audit.useKeys(null);
    expect(keys.last).toMatchObject({ seq: 2 });
    keys.close();
    await audit.append(event(2));
    await audit.close();
    expect(records().map((r) => r.event)).toEqual(['token_released', 'audit_checkpoint', 'token_released']);
    expect(() => keys.sign({ seq: 1, hash: '', at: 1 })).toThrow(expect.objectContaining({ code: 'vault_locked' }));
  });
});

describe('turning the page', () => {
  const archives = (): string[] => readdirSync(dir).filter((name) => /^audit-\d+\.jsonl$/.test(name)).toSorted();

  it('keeps the full file under the number of its first record, and the chain across both', async () => {
    const audit = await open(2_000);
    await audit.useKeys(keys);
    for (let n = 1; n <= 20; n += 1) await audit.append(event(n));
    await audit.close();
    expect(archives().length).toBeGreaterThan(1);
    for (const name of archives()) expect(Number(/\d+/.exec(name)?.[0])).toBe(records(join(dir, name))[0].seq);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 21, files: archives().length + 1 });
  });

  it('happens after a month as well', async () => {
    await write(1);
    await clock.advance(32 * 86_400_000);
    await write(1, 2);
    expect(archives()).toEqual(['audit-000000000001.jsonl']);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', files: 2 });
  });

  it('[AL-05] shows a file that is missing, and one that was changed, by its name', async () => {
    const audit = await open(2_000);
    for (let n = 1; n <= 20; n += 1) await audit.append(event(n));
    await audit.close();
    const [first = '', second = ''] = archives();
    const whole = readFileSync(join(dir, second));
    writeFileSync(join(dir, second), String(whole).replace('"pid":4711', '"pid":4712'));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', file: second, line: 1, why: expect.stringContaining('altered') });
    writeFileSync(join(dir, second), whole);
    rmSync(join(dir, first));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', file: second, line: 1, why: expect.stringContaining('taken out') });
  });

  it('goes on from the old file where a crash came between the two renames', async () => {
    await write(3);
    renameSync(path, join(dir, 'audit-000000000001.jsonl'));
    await write(1, 4);
    expect(records()[0].seq).toBe(5);
    // The start signed what it found.
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 7, files: 2 });
  });

  it('does not take the place of a file that is there: it goes on in the same one', async () => {
    const audit = await open(2_000);
    writeFileSync(join(dir, 'audit-000000000001.jsonl'), '');
    for (let n = 1; n <= 10; n += 1) await audit.append(event(n));
    await audit.close();
    expect(records()).toHaveLength(10);
    expect(log.lines.filter((line) => line.event === 'audit_not_rotated')).toHaveLength(1);
  });

  const build = resolve(import.meta.dirname, '../../dist/daemon');
  const hasBuild = existsSync(join(build, 'audit/open-audit.js'));
  if (!hasBuild) console.warn('not run: the build is missing (npx tsc -b)');
  it.skipIf(!hasBuild)('[AL-05] survives SIGKILL at any moment: nothing that was acknowledged is missing, and the chain is whole', { timeout: 60_000 }, async () => {
    const program = `
      import { openAudit } from ${JSON.stringify(join(build, 'audit/open-audit.js'))};
      import { createClock } from ${JSON.stringify(join(build, 'platform/clock.js'))};
      const quiet = () => {};
      const audit = await openAudit({ dir: process.argv[1], clock: createClock(), log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, fullBytes: 3000 });
      for (let n = 0; ; n += 1) { await audit.append({ event: 'token_refused', profile: null, caller: null, request: null, facts: { n, pad: 'x'.repeat(n % 300) } }); process.stdout.write(audit.state().head.seq + '\\n'); }`;
    let acknowledged = 0;
    for (let round = 0; round < 12; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text;
        if (out.split('\n').length > 20 + round * 17) child.kill('SIGKILL');
      });
      await new Promise((done) => child.once('close', done));
      acknowledged = Math.max(acknowledged, ...out.split('\n').slice(0, -1).map(Number));
      const verdict = await verifyAudit(path);
      expect(verdict).toMatchObject({ kind: 'intact' });
      expect((verdict as { records: number }).records).toBeGreaterThanOrEqual(acknowledged);
    }
    expect(archives().length).toBeGreaterThan(5);
  });

  it('says where a tail was cut that nobody signed, as long as the head file stands', async () => {
    await write(3);
    copyFileSync(path, join(parent, 'copy'));
    truncateSync(path, lines().slice(0, 2).join('\n').length + 1);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', why: 'records 3 to 4 are missing at the end' });
  });
});

describe('a file that somebody touches while it is written to', () => {
  /** The disk takes its own time between two seconds. */
  const passes = (look: () => unknown) => expect.poll(async () => {
    await clock.advance(1_000);
    return look();
  });
  const whole = () => lines().flatMap((line) => readAuditLine(line)?.record ?? []);
  it.each([
    ['moved away', () => renameSync(path, `${path}.gone`), 'moved'],
    ['replaced by an old copy', () => { renameSync(`${path}.old`, path); }, 'moved'],
    ['cut in the middle of a line', () => truncateSync(path, 700), 'cut'],
    ['taken away with its directory', () => renameSync(dir, `${dir}.gone`), 'moved'],
  ] as const)('[AL-05] is noticed within a second, said and recorded: %s', async (_what, touch, what) => {
    const audit = await open();
    for (let n = 1; n <= 3; n += 1) await audit.append(event(n));
    copyFileSync(path, `${path}.old`);
    await audit.append(event(4));
    await clock.advance(1_000);
    expect(audit.state().detections).toEqual([]);
    touch();
    await passes(() => audit.state().detections.map(({ detector }) => detector)).toEqual(['audit_tampered']);
    await audit.append(event(5));
    expect(whole().filter((record) => record.event === 'audit_tampered')).toMatchObject([{ facts: { what } }]);
    expect(whole().slice(-2)).toContainEqual(expect.objectContaining({ event: 'token_released', facts: { n: 5 } }));
    expect(log.lines.map((line) => line.event)).toContain('audit_tampered');
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken' });
  });

  it('is neither written to nor followed where a link stands in its place, and that is a disk that refuses', async () => {
    const audit = await open();
    await audit.append(event(1));
    const stranger = join(parent, 'stranger');
    writeFileSync(stranger, '');
    rmSync(path);
    symlinkSync(stranger, path);
    await passes(() => audit.trouble()).toContain('refuses');
    await audit.append(event(2));
    expect(readFileSync(stranger, 'utf8')).toBe('');
    rmSync(path);
    await passes(() => existsSync(path) && records().at(-1)?.event).toBe('audit_tampered');
    expect(audit.trouble()).toBeNull();
    await audit.close();
  });

  it('is left alone where the daemon itself turns the page', async () => {
    const audit = await open(3_000);
    for (let n = 1; n <= 20; n += 1) {
      await audit.append(event(n));
      await clock.advance(1_000);
    }
    expect(audit.state().detections).toEqual([]);
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
  });
});
