import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseLockRecord } from '../../../../daemon/platform/lock-record.ts';
import type { LockRecord } from '../../../../daemon/platform/lock-record.ts';
import { tryLock } from '../../../../daemon/platform/lock.ts';
import { loadNative } from '../../../../daemon/platform/native.ts';
import { buildPlatform, finished, firstLine, kill, UNPRIVILEGED } from '../../../support/built-platform.ts';
import { pidOf } from '../../../support/processes.ts';
import type { Built } from '../../../support/built-platform.ts';
import { smallDisk } from '../../../support/small-disk.ts';

const RECORD: LockRecord = { v: 1, pid: 4711, socket: '/run/user/1000/valetkey/socket', version: '0.1.0', protocol: 1, started_at: 1_700_000_000_000 };

let built: Built;
let dir: string;
let path: string;
const children: ChildProcess[] = [];

beforeAll(() => { built = buildPlatform(); });
afterAll(() => { built.remove(); });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-lock-'));
  path = join(dir, 'lock');
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  rmSync(dir, { recursive: true });
});

/** Says "held" or "busy" in its first line, and lives on. */
function startHolder(also = ''): ChildProcess {
  const child = built.start(`
    import { tryLock } from './daemon/platform/lock.js';
    ${also.includes('spawn') ? 'import { spawn } from "node:child_process"; import { readdirSync, readlinkSync } from "node:fs";' : ''}
    const lock = tryLock(${JSON.stringify(path)});
    ${also}
    process.stdout.write((lock === null ? 'busy' : 'held') + ' ' + (globalThis.childPid ?? '') + '\\n');
    setInterval(() => lock, 1000);
  `);
  children.push(child);
  return child;
}

describe('the lock of the one daemon', () => {
  it('is held once, with the record in the file itself', () => {
    const lock = tryLock(path);
    expect(lock).not.toBeNull();
    expect(tryLock(path)).toBeNull();
    lock?.write({ ...RECORD, socket: `/${'x'.repeat(90)}` });
    lock?.write(RECORD);
    expect(parseLockRecord(readFileSync(path, 'utf8'), path)).toEqual(RECORD);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    lock?.release();
    lock?.release();
    expect(readFileSync(path, 'utf8')).toBe('');
    const next = tryLock(path);
    expect(next).not.toBeNull();
    next?.release();
  });

  it('is free again after SIGKILL, twenty times, and the same file all along', async () => {
    tryLock(path)?.release();
    const { ino } = statSync(path);
    for (let round = 0; round < 20; round += 1) {
      const holder = startHolder();
      expect(await firstLine(holder)).toMatch(/^held/);
      expect(tryLock(path)).toBeNull();
      await kill(holder);
      const lock = tryLock(path);
      expect(lock, `round ${round}`).not.toBeNull();
      lock?.release();
    }
    expect(statSync(path).ino).toBe(ino);
  }, 60_000);

  it('goes to exactly one of processes that race for it', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => firstLine(startHolder())));
    expect(answers.filter((line) => line.startsWith('held'))).toHaveLength(1);
    expect(answers.filter((line) => line.startsWith('busy'))).toHaveLength(5);
  });

  it.each([
    { stdio: '"ignore", "ignore", "ignore"', name: 'dies with the process although its child lives', free: true },
    { stdio: '"ignore", "ignore", "ignore", fd', name: 'lives on in a child that was given the descriptor (control)', free: false },
  ])('$name', async ({ stdio, free }) => {
    const holder = startHolder(`
      const fd = readdirSync('/proc/self/fd').map(Number).find((n) => { try { return readlinkSync('/proc/self/fd/' + n) === ${JSON.stringify(path)}; } catch { return false; } });
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: [${stdio}] });
      globalThis.childPid = child.pid;
    `);
    const childPid = pidOf((await firstLine(holder)).split(' ')[1] ?? '');
    try {
      await kill(holder);
      expect(() => process.kill(childPid, 0)).not.toThrow();
      const lock = tryLock(path);
      expect(lock !== null).toBe(free);
      lock?.release();
    } finally {
      process.kill(childPid, 'SIGKILL');
    }
  });

  it('is taken anew where the file was replaced between open and flock', () => {
    const real = loadNative();
    let calls = 0;
    const lock = tryLock(path, {
      platform: 'linux',
      call(declaration, ...args) {
        calls += 1;
        if (calls === 1) renameSync(path, `${path}.gone`);
        return real.call(declaration, ...args);
      },
    });
    expect(lock).not.toBeNull();
    expect(calls).toBe(2);
    expect(tryLock(path)).toBeNull();
    lock?.release();
  });

  it('gives up on a file that is replaced for ever', () => {
    const always = { platform: 'linux', call: () => { rmSync(path); return 0; } } as const;
    expect(() => tryLock(path, always)).toThrow(expect.objectContaining({ code: 'runtime_dir_untrusted' }));
  });

  it.each([
    ['a symbolic link', () => { writeFileSync(`${path}.target`, ''); symlinkSync(`${path}.target`, path); }],
    ['a file that others may read', () => { writeFileSync(path, ''); chmodSync(path, 0o644); }],
    ['a path in a directory that is not there', () => { path = join(dir, 'none', 'lock'); }],
  ])('refuses %s', (_, plant) => {
    plant();
    expect(() => tryLock(path)).toThrow(expect.objectContaining({ code: 'runtime_dir_untrusted', message: expect.stringContaining(path) }));
  });

  it('tells a disk that refuses from a file that is not private, and what to do', async (test) => {
    const disk = smallDisk('size=4k');
    if ('obstacle' in disk) return test.skip(disk.obstacle);
    try {
      const file = join(disk.dir, 'lock');
      const lock = tryLock(file);
      writeFileSync(join(disk.dir, 'filler'), 'x'.repeat(4096));
      expect(() => lock?.write(RECORD)).toThrow(expect.objectContaining({ code: 'vault_unwritable', message: `${file} cannot be written: ENOSPC`, hint: `Free space on the disk of ${file}` }));
      lock?.release();
      disk.remount('ro');
      expect(() => tryLock(file)).toThrow(expect.objectContaining({
        code: 'vault_unwritable', message: `${file} cannot be opened for writing: EROFS`, hint: `Make ${disk.dir} writable for this user`,
      }));
    } finally {
      disk.remove();
    }
  });

  it.runIf(UNPRIVILEGED.uid !== undefined)('says as an unprivileged user which directory cannot be written, and whose file it is', async () => {
    const say = `import { tryLock } from './daemon/platform/lock.js';
      try { tryLock(process.env.LOCK); } catch ({ code, message, hint }) { console.log(JSON.stringify({ code, message, hint })); }`;
    const own = built.makeDir();
    const file = join(own, 'lock');
    const run = async () => JSON.parse((await built.run(say, { ...UNPRIVILEGED, env: { LOCK: file } })).stdout);
    chmodSync(own, 0o500);
    expect(await run()).toEqual({ code: 'vault_unwritable', message: `${file} cannot be opened for writing: EACCES`, hint: `Make ${own} writable for this user` });
    writeFileSync(file, '', { mode: 0o600 });
    expect(await run()).toMatchObject({ code: 'runtime_dir_untrusted', message: `${file} is owned by uid 0` });
  });

  it('says what the system said where flock itself fails', () => {
    expect(() => tryLock(path, { platform: 'linux', call: () => -5 })).toThrow(/EIO/);
  });

  it('leaves no descriptor behind, won or lost', async () => {
    const { stdout } = await finished(built.start(`
      import { readdirSync } from 'node:fs';
      import { tryLock } from './daemon/platform/lock.js';
      const held = tryLock(${JSON.stringify(path)});
      const before = readdirSync('/proc/self/fd').length;
      for (let i = 0; i < 100; i += 1) tryLock(${JSON.stringify(path)});
      for (let i = 0; i < 100; i += 1) tryLock(${JSON.stringify(`${path}2`)}).release();
      console.log(readdirSync('/proc/self/fd').length - before, held !== null);
    `));
    expect(stdout.trim()).toBe('0 true');
  });
});

describe('parseLockRecord', () => {
  it.each([
    ['nothing', ''],
    ['half a record', JSON.stringify(RECORD).slice(0, 20)],
    ['no object', '42'],
    ['null', 'null'],
    ['no pid', JSON.stringify({ ...RECORD, pid: 0 })],
    ['a pid as text', JSON.stringify({ ...RECORD, pid: '4711' })],
    ['a relative socket', JSON.stringify({ ...RECORD, socket: 'socket' })],
    ['no version', JSON.stringify({ ...RECORD, v: undefined })],
  ])('is null for %s', (_, text) => {
    expect(parseLockRecord(text, '/lock')).toBeNull();
  });

  it('refuses the record of a newer build unread, with path and version', () => {
    expect(() => parseLockRecord('{"v":2,"anything":true}', '/x/lock')).toThrow(
      expect.objectContaining({ code: 'file_too_new', message: '/x/lock has version 2; this build reads 1' }),
    );
  });

  it('drops what it does not know', () => {
    expect(parseLockRecord(JSON.stringify({ ...RECORD, more: 1 }), '/lock')).toEqual(RECORD);
  });
});
