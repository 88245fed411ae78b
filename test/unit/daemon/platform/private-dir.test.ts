import { chmodSync, chownSync, existsSync, lchownSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensurePrivateDir } from '../../../../daemon/platform/private-dir.ts';
import { smallDisk } from '../../../support/small-disk.ts';
import { isPrivateGroup } from '../../../../daemon/platform/private-group.ts';

const uid = process.getuid?.() ?? -1;
const isRoot = uid === 0;
let base: string;
beforeEach(() => { base = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-dir-'))); });
afterEach(() => { rmSync(base, { recursive: true }); });

function refusal(path: string, fact: RegExp): unknown {
  return expect.objectContaining({ code: 'runtime_dir_untrusted', message: expect.stringMatching(new RegExp(`^${path} .*${fact.source}`)) });
}

describe('ensurePrivateDir', () => {
  it('makes the directory and what is missing above it with mode 0700, whatever the umask', () => {
    const before = process.umask(0);
    try {
      ensurePrivateDir(join(base, 'state/valetkey/run'), uid);
    } finally {
      process.umask(before);
    }
    for (const name of ['state', 'state/valetkey', 'state/valetkey/run']) expect(statSync(join(base, name)).mode & 0o7777).toBe(0o700);
    ensurePrivateDir(join(base, 'state/valetkey/run/'), uid);
  });

  it('refuses a planted link, and does not touch what it leads to', () => {
    symlinkSync(join(base, 'elsewhere'), join(base, 'run'));
    expect(() => ensurePrivateDir(join(base, 'run'), uid)).toThrow(refusal(join(base, 'run'), /is a symbolic link/));
    expect(existsSync(join(base, 'elsewhere'))).toBe(false);
  });

  it.each([0o777, 0o755, 0o750, 0o701, 0o1777])('refuses mode %o, and leaves it as it is', (mode) => {
    mkdirSync(join(base, 'run'));
    chmodSync(join(base, 'run'), mode);
    expect(() => ensurePrivateDir(join(base, 'run'), uid)).toThrow(refusal(join(base, 'run'), /has mode 0?\d+/));
    expect(lstatSync(join(base, 'run')).mode & 0o7777).toBe(mode);
  });

  it('refuses a file', () => {
    writeFileSync(join(base, 'run'), '', { mode: 0o600 });
    expect(() => ensurePrivateDir(join(base, 'run'), uid)).toThrow(refusal(join(base, 'run'), /is not a directory/));
    expect(() => ensurePrivateDir(join(base, 'run/deeper'), uid)).toThrow(refusal(join(base, 'run'), /is not a directory/));
  });

  it.runIf(isRoot)('refuses a directory of another user, and one below such a directory', () => {
    mkdirSync(join(base, 'run'), { mode: 0o700 });
    chownSync(join(base, 'run'), 65_534, 65_534);
    expect(() => ensurePrivateDir(join(base, 'run'), uid)).toThrow(refusal(join(base, 'run'), /is owned by uid 65534/));
    expect(() => ensurePrivateDir(join(base, 'run/deeper'), uid)).toThrow(refusal(join(base, 'run'), /is owned by uid 65534/));
  });

  it.each([0o777, 0o772])('refuses a parent of mode %o, where another could put a directory of his in place', (mode) => {
    mkdirSync(join(base, 'shared/run'), { recursive: true, mode: 0o700 });
    chmodSync(join(base, 'shared'), mode);
    expect(() => ensurePrivateDir(join(base, 'shared/run'), uid)).toThrow(refusal(join(base, 'shared'), /others could replace/));
  });

  it.runIf(isRoot)('takes a sticky directory of root on the way, and no other sticky one', () => {
    mkdirSync(join(base, 'tmp'));
    chmodSync(join(base, 'tmp'), 0o1777);
    ensurePrivateDir(join(base, 'tmp/run'), uid);
    chownSync(join(base, 'tmp'), 65_534, 65_534);
    expect(() => ensurePrivateDir(join(base, 'tmp/run'), uid)).toThrow(refusal(join(base, 'tmp'), /is owned by uid 65534/));
  });

  it('follows links of its own user on the way, and verifies where they lead', () => {
    mkdirSync(join(base, 'real/deep'), { recursive: true, mode: 0o700 });
    symlinkSync('real/deep', join(base, 'way'));
    symlinkSync('../real', join(base, 'real/deep/up'));
    ensurePrivateDir(join(base, 'way/run'), uid);
    expect(statSync(join(base, 'real/deep/run')).mode & 0o777).toBe(0o700);
    chmodSync(join(base, 'real'), 0o777);
    expect(() => ensurePrivateDir(join(base, 'way/run'), uid)).toThrow(refusal(join(base, 'real'), /others could replace/));
  });

  it('climbs from where a link really is, as the kernel does', () => {
    // way -> real/deep, and real/deep/up -> ../x: that is real/x, though the text of the path says x.
    mkdirSync(join(base, 'real/deep'), { recursive: true, mode: 0o700 });
    mkdirSync(join(base, 'real/x'), { mode: 0o777 });
    chmodSync(join(base, 'real/x'), 0o777);
    mkdirSync(join(base, 'x'), { mode: 0o700 });
    symlinkSync('real/deep', join(base, 'way'));
    symlinkSync('../x', join(base, 'real/deep/up'));
    expect(() => ensurePrivateDir(join(base, 'way/up/run'), uid)).toThrow(refusal(join(base, 'real/x'), /others could replace/));
  });

  it.runIf(isRoot)('refuses a link that another user owns', () => {
    mkdirSync(join(base, 'real'), { mode: 0o700 });
    symlinkSync('real', join(base, 'way'));
    lchownSync(join(base, 'way'), 65_534, 65_534);
    expect(() => ensurePrivateDir(join(base, 'way/run'), uid)).toThrow(refusal(join(base, 'way'), /link that is owned by uid 65534/));
  });

  it('tells a disk that refuses from a directory that is not private, and what to do', (test) => {
    const disk = smallDisk('nr_inodes=2');
    if ('obstacle' in disk) return test.skip(disk.obstacle);
    try {
      const path = join(disk.dir, 'run');
      writeFileSync(join(disk.dir, 'filler'), '');
      const refused = { code: 'vault_unwritable', message: `${path} cannot be made or looked at: ENOSPC`, hint: `Free space on the disk of ${disk.dir}` };
      expect(() => ensurePrivateDir(path, uid)).toThrow(expect.objectContaining(refused));
      disk.remount('ro');
      const readOnly = { code: 'vault_unwritable', message: `${path} cannot be made or looked at: EROFS`, hint: `Make ${disk.dir} writable for this user` };
      expect(() => ensurePrivateDir(path, uid)).toThrow(expect.objectContaining(readOnly));
    } finally {
      disk.remove();
    }
  });

  it('ends at a loop of links', () => {
    symlinkSync('b', join(base, 'a'));
    symlinkSync('a', join(base, 'b'));
    expect(() => ensurePrivateDir(join(base, 'a/run'), uid)).toThrow(refusal(join(base, 'a'), /loop of symbolic links/));
  });

  it.each(['run', '', '/', '/tmp/../run', '/run\0'])('refuses the path %j', (path) => {
    expect(() => ensurePrivateDir(path, uid)).toThrow(expect.objectContaining({ code: 'runtime_dir_untrusted' }));
  });
});

describe('isPrivateGroup', () => {
  const files = (group: string, passwd = 'root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n') => (path: string): string =>
    path === '/etc/group' ? group : passwd;

  it.each([
    ['a group of her own', files('root:x:0:\nada:x:1000:\n'), true],
    ['a group that lists only her', files('ada:x:1000:ada\n'), true],
    ['a group with another member', files('ada:x:1000:ada,bob\n'), false],
    ['a group that is another\'s primary one', files('users:x:1000:\n', 'ada:x:1000:1000::/:/bin/sh\nbob:x:1001:1000::/:/bin/sh\n'), false],
    ['a group that no file knows', files('root:x:0:\n'), false],
    ['a user that no file knows', files('ada:x:1000:\n', 'root:x:0:0::/root:/bin/sh\n'), false],
  ])('%s: %#', (_, read, expected) => {
    expect(isPrivateGroup(1000, 1000, read)).toBe(expected);
  });
});
