/** The audit log as a file: private, appended to only, in order, and able to tell what was done to it (AL-05). */
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Audit, AuditEvent } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { auditPath, openAudit } from '../../daemon/audit/open-audit.ts';
import { callerRecord } from '../../daemon/audit/caller-record.ts';
import { verifyAudit } from '../../client/audit/verify-log.ts';
import { profileName, someCaller } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LogSink } from '../support/fakes.ts';

let parent: string;
let dir: string;
let path: string;
let clock: FakeClock;
let log: LogSink;
const open = (): Promise<Audit> => openAudit({ dir, clock, log });

function event(n: number, facts: AuditEvent['facts'] = {}): AuditEvent {
  return { event: 'token_released', profile: profileName('work'), caller: someCaller(), request: `request-${n}`, facts: { n, ...facts } };
}
async function write(count: number): Promise<void> {
  const audit = await open();
  for (let n = 1; n <= count; n += 1) await audit.append(event(n));
  await audit.close();
}
const head = (): string => join(dir, 'audit.head');
const lines = (): string[] => readFileSync(path, 'utf8').trimEnd().split('\n');
const rewrite = (next: readonly string[]): void => writeFileSync(path, `${next.join('\n')}\n`);
const records = () => lines().map((line) => JSON.parse(line));

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-audit-')));
  dir = join(parent, 'audit');
  path = auditPath(dir);
  clock = new FakeClock();
  log = new LogSink();
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

describe('audit', () => {
  it('[AL-05] writes each event as a line of a private file, chained to the line before', async () => {
    await write(3);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(lstatSync(dir).mode & 0o777).toBe(0o700);
    const [first, second] = records();
    expect(first).toMatchObject({ v: 1, seq: 1, at: clock.now(), event: 'token_released', profile: 'work', request: 'request-1', facts: { n: 1 }, prev: '0'.repeat(64) });
    expect(first.caller).toEqual(callerRecord(someCaller()));
    expect(second.prev).toBe(first.hash);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 3, torn: [] });
  });

  it('is written when append resolves, and continues the chain after a restart', async () => {
    await write(2);
    const audit = await open();
    await audit.append(event(3));
    expect(records().map(({ seq }) => seq)).toEqual([1, 2, 3]);
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 3 });
  });

  it('keeps the order of concurrent appends', async () => {
    const audit = await open();
    await Promise.all(Array.from({ length: 500 }, (_, n) => audit.append(event(n))));
    expect(records().map(({ facts }) => facts.n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 500 });
  });

  it('prints no secret', async () => {
    const audit = await open();
    await audit.append(event(1, { token: new Secret('at-1-EXAMPLE'), text: 'line\nbreak \u2028 \u00e9' }));
    await audit.close();
    expect(readFileSync(path, 'utf8')).not.toContain('EXAMPLE');
    expect(lines()).toHaveLength(1);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
  });

  it('leaves out facts that are too large, and says so', async () => {
    const audit = await open();
    await audit.append(event(1, { text: 'x'.repeat(100_000) }));
    await audit.close();
    expect(records()[0].facts).toEqual({ facts_left_out: expect.any(Number) });
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
  });

  it('is synced within a second, and not while nothing happens', async () => {
    const audit = await open();
    await audit.append(event(1));
    expect(existsSync(head())).toBe(false);
    await clock.advance(1_000);
    await expect.poll(() => existsSync(head()) && readFileSync(head(), 'utf8')).toBe(`1 1 ${records()[0].hash}\n`);
    expect(lstatSync(head()).mode & 0o777).toBe(0o600);
    await audit.close();
  });

  it('takes nothing more after it was closed', async () => {
    const audit = await open();
    await Promise.all([audit.append(event(1)), audit.close(), audit.close()]);
    await expect(audit.append(event(2))).rejects.toMatchObject({ code: 'shutting_down' });
    expect(records()).toHaveLength(1);
    expect(clock.sleepers).toBe(0);
  });

  it('refuses a directory or file that is not its own', async () => {
    mkdirSync(dir, { mode: 0o755 });
    chmodSync(dir, 0o755);
    await expect(open()).rejects.toMatchObject({ code: 'runtime_dir_untrusted', message: expect.stringContaining('0755') });
    chmodSync(dir, 0o700);
    symlinkSync('/dev/null', path);
    await expect(open()).rejects.toMatchObject({ code: 'runtime_dir_untrusted' });
  });

  it('refuses a file of a newer version and leaves it', async () => {
    await write(1);
    const newer = lines().map((line) => line.replace('"v":1', '"v":2'));
    rewrite(newer);
    await expect(open()).rejects.toMatchObject({ code: 'file_too_new', message: expect.stringContaining(path) });
    expect(lines()).toEqual(newer);
  });
});

it('[AL-04] draws nothing on a terminal where the file is printed, and says what was there', async () => {
  const odd = '/tmp/\u001b[31m\u009b31m\u202e\u200bx\u{e0041}\n{}';
  const audit = await open();
  await audit.append({ ...event(1), caller: someCaller({ executable: odd }), facts: { reason: odd } });
  await audit.close();
  const text = readFileSync(path, 'utf8');
  expect(text.trimEnd()).toMatch(/^[^\p{Cc}\p{Cf}]*$/u);
  expect(JSON.parse(text)).toMatchObject({ caller: { executable: odd }, facts: { reason: odd } });
  expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 1 });
});

describe('verifyAudit', () => {
  beforeEach(() => write(5));

  it.each([1, 3, 5])('[AL-05] names line %d when it was altered', async (n) => {
    rewrite(lines().map((line, i) => (i === n - 1 ? line.replace('"pid":4711', '"pid":4712') : line)));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: n, why: expect.stringContaining('altered') });
  });

  it.each([1, 2, 4])('[AL-05] names the line where line %d was deleted', async (n) => {
    rewrite(lines().toSpliced(n - 1, 1));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: n, why: expect.stringContaining('taken out') });
  });

  it('[AL-05] tells that lines were deleted at the end', async () => {
    rewrite(lines().slice(0, 3));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 4, why: 'records 4 to 5 are missing at the end' });
    writeFileSync(path, '');
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 1 });
  });

  it('names the line where others were put in, doubled or moved', async () => {
    const [a = '', b = '', c = '', d = '', e = ''] = lines();
    for (const [next, line] of [[[a, b, b, c, d, e], 3], [[a, c, b, d, e], 2], [[a, b, c, d, e, e], 6], [[a, b, c, d, e, '{"v":1}'], null]] as const) {
      rewrite(next);
      if (line === null) expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', torn: [6] });
      else expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line });
    }
  });

  it('[AL-05] names a line with a byte in it that its hash would not show', async () => {
    const file = readFileSync(path);
    writeFileSync(path, Buffer.from(file.toString('latin1').replace('}\n', '}\r\n'), 'latin1'));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 1 });
    const audit = await open();
    await audit.append({ ...event(6), facts: { reason: 'what is no text: \ufffd' } });
    await audit.close();
    writeFileSync(path, Buffer.from(readFileSync(path).toString('latin1').replace('\r\n', '\n'), 'latin1'));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 6 });
    writeFileSync(path, Buffer.from(readFileSync(path).toString('latin1').replace('\xef\xbf\xbd', '\xff'), 'latin1'));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', why: 'records 6 to 6 are missing at the end' });
  });

  it('names an altered line also where its own hash was made to fit', async () => {
    const forged = lines().map((line, i) => {
      if (i !== 2) return line;
      const body = `${line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '').replace('4711', '1')}}`;
      return `${body.slice(0, -1)},"hash":"${createHash('sha256').update(body).digest('hex')}"}`;
    });
    rewrite(forged);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 4 });
  });

  it('names the last line where it was replaced by one that fits', async () => {
    const noted = readFileSync(head());
    rewrite(lines().slice(0, 4));
    rmSync(head());
    const forger = await open();
    await forger.append(event(55));
    await forger.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 5 });
    writeFileSync(head(), noted);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 5 });
  });
});

describe('an audit file that a crash tore', () => {
  beforeEach(() => write(3));
  const tear = (bytes: number): void => truncateSync(path, lstatSync(path).size - bytes);

  it.each([1, 2, 40, 100, 300])('is closed with a note when the last %d bytes are missing, and goes on', async (bytes) => {
    rmSync(head());
    tear(bytes);
    const before = readFileSync(path);
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact' });
    const audit = await open();
    await audit.append(event(4));
    await audit.close();
    expect(readFileSync(path).subarray(0, before.length)).toEqual(before);
    // The newline alone: the record is whole. Else it is torn, and the note about it takes its number.
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 4, torn: bytes === 1 ? [] : [3] });
    expect(JSON.parse(lines().at(-1) ?? '')).toMatchObject({ facts: { n: 4 } });
    expect(log.lines.filter(({ event: name }) => name === 'audit_repaired')).toHaveLength(bytes === 1 ? 0 : 1);
  });

  it('is closed also where the crash came again while it was being closed', async () => {
    rmSync(head());
    tear(50);
    await (await open()).close();
    tear(20);
    rmSync(head(), { force: true });
    await (await open()).close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', torn: [3, 4] });
  });

  it('still shows an alteration before the torn line', async () => {
    tear(50);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"n":1', '"n":9'));
    await (await open()).close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 1 });
  });

  it('starts where the last line was altered, tells it, and does not cover it up', async () => {
    rewrite(lines().map((line, i) => (i === 2 ? line.replace('"n":3', '"n":4') : line)));
    const audit = await open();
    await audit.append(event(4));
    await audit.close();
    expect(log.lines).toContainEqual(expect.objectContaining({ level: 'error', event: 'audit_altered' }));
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 3 });
  });

  it('starts where the file is junk altogether, and does not cover it up', async () => {
    writeFileSync(path, Buffer.alloc(300_000, 'junk\n'));
    const audit = await open();
    await audit.append(event(1));
    await audit.close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'broken', line: 1 });
  });

  it('starts with an empty file, and with one that ends in bytes that are no text', async () => {
    rmSync(head());
    appendFileSync(path, Buffer.from([0xe2, 0x80, 0xff, 0x00]));
    await (await open()).close();
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', torn: [4] });
    writeFileSync(path, '');
    rmSync(head());
    expect(await verifyAudit(path)).toMatchObject({ kind: 'intact', records: 0 });
    await (await open()).close();
  });
});
