/** The audit log on a disk that refuses: a small tmpfs that is filled to the last byte. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AuditEvent } from '../../../../daemon/core/ports.ts';
import { auditPath, openAudit } from '../../../../daemon/audit/open-audit.ts';
import { verifyAudit } from '../../../../client/audit/verify-log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { LogSink } from '../../../support/fakes.ts';
import { smallDisk } from '../../../support/small-disk.ts';

let disk = '';
let obstacle: string | null = null;
beforeAll(() => {
  disk = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-disk-')));
  const mounted = process.getuid?.() === 0 ? spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', disk], { encoding: 'utf8' }) : null;
  obstacle = mounted === null ? 'mounting a small disk needs root' : mounted.status === 0 ? null : `no disk could be mounted: ${mounted.stderr.trim()}`;
  if (obstacle !== null) console.warn(`a full audit disk is not tested: ${obstacle}`);
});
afterAll(() => {
  if (obstacle === null) spawnSync('umount', ['--lazy', disk]);
  rmSync(disk, { recursive: true, force: true });
});

it('says where and what to do when the disk is read-only at the start', async (test) => {
  const small = smallDisk('size=64k');
  if ('obstacle' in small) return test.skip(small.obstacle);
  try {
    small.remount('ro');
    const dir = join(small.dir, 'audit');
    await expect(openAudit({ dir, clock: new FakeClock(), log: new LogSink() })).rejects.toMatchObject({
      code: 'vault_unwritable', message: `the audit log in ${dir} cannot be opened: EROFS`, hint: `Make ${dir} writable for this user`,
    });
  } finally {
    small.remove();
  }
});

function event(n: number): AuditEvent {
  return { event: 'token_released', profile: null, caller: null, request: null, facts: { n, filler: 'x'.repeat(50) } };
}

it('queues a thousand records with a warning while the disk is full, refuses more, and writes all of them in order when there is room', async (test) => {
  if (obstacle !== null) return test.skip(obstacle);
  const dir = join(disk, 'audit');
  const log = new LogSink();
  const clock = new FakeClock();
  const audit = await openAudit({ dir, clock, log });
  await audit.append(event(0));
  // Leaves the rest of a page: a record is cut in two by the full disk.
  const size = (): number => readFileSync(auditPath(dir)).length;
  for (let i = 0; ; i += 1) {
    try {
      writeFileSync(join(disk, `filler-${i}`), Buffer.alloc(4096));
    } catch (cause) {
      expect(cause).toMatchObject({ code: 'ENOSPC' });
      break;
    }
  }
  let n = 1;
  for (; !log.lines.some(({ event: name }) => name === 'audit_unwritable'); n += 1) await audit.append(event(n));
  expect(size()).toBe(4096);
  expect(readFileSync(auditPath(dir), 'utf8').endsWith('\n')).toBe(false);

  const refusals: unknown[] = [];
  for (; refusals.length === 0 && n < 2_000; n += 1) await audit.append(event(n)).catch((cause: unknown) => refusals.push(cause));
  const queued = n - 1;
  expect(audit.trouble()).toBe(`the disk refuses ${auditPath(dir)}; 1000 records wait in memory, and beyond 1000 no token is released`);
  expect(refusals[0]).toMatchObject({ code: 'vault_unwritable', message: expect.stringContaining('1000 records wait') });
  expect(log.lines.filter(({ event: name }) => name === 'audit_unwritable')).toHaveLength(1);

  for (let i = 0; i < 256; i += 1) rmSync(join(disk, `filler-${i}`), { force: true });
  await clock.advance(1_000);
  // The bytes are in the file before the writer hears of it, and until then the queue is full.
  await expect.poll(() => log.lines.map(({ event: name }) => name)).toContain('audit_written_again');
  expect(readFileSync(auditPath(dir), 'utf8').trimEnd().split('\n')).toHaveLength(queued);
  expect(audit.trouble()).toBeNull();
  await audit.append(event(-1));
  await audit.close();
  expect(readFileSync(auditPath(dir), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line).facts.n)).toEqual([...Array(queued).keys(), -1]);
  expect(await verifyAudit(auditPath(dir))).toMatchObject({ kind: 'intact', records: queued + 1, torn: [] });
});
