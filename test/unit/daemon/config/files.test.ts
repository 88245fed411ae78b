import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTextFile, writeConfigFile } from '../../../../daemon/config/files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe('reading', () => {
  it('gives text, owner and mode of what was opened; null where there is nothing', async () => {
    const file = join(dir, 'config.toml');
    writeFileSync(file, '\ufeffv = 1 # ü\n');
    chmodSync(file, 0o640);
    expect(await readTextFile(file)).toEqual({ text: 'v = 1 # ü\n', uid: statSync(file).uid, mode: 0o100640 });
    expect(await readTextFile(join(dir, 'none'))).toBeNull();
    symlinkSync(file, join(dir, 'link'));
    expect(await readTextFile(join(dir, 'link'))).toMatchObject({ mode: 0o100640 });
  });

  it('refuses what is no text file, without waiting for it', async () => {
    writeFileSync(join(dir, 'latin'), Buffer.from([0x76, 0xfc, 0x0a]));
    writeFileSync(join(dir, 'large'), 'a'.repeat(1024 * 1024 + 1));
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    // What it leads to may have been stricter than nothing.
    symlinkSync(join(dir, 'gone'), join(dir, 'dangling'));
    for (const [path, why] of [[join(dir, 'dangling'), 'cannot be read (ENOENT)'], [join(dir, 'latin'), 'is not UTF-8 text'], [join(dir, 'large'), 'is larger than 1024 KiB'], [join(dir, 'fifo'), 'is not a regular file'], [dir, 'is not a regular file'], [join(dir, 'latin', 'x'), 'cannot be read (ENOTDIR)']] as const) {
      await expect(readTextFile(path), path).rejects.toMatchObject({ code: 'config_invalid', message: `${path} ${why}` });
    }
  });
});

describe('writing', () => {
  it('makes a new file 0600 in a new directory 0700, whatever the umask', async () => {
    const file = join(dir, 'a', 'b', 'config.toml');
    const old = process.umask(0);
    try {
      await writeConfigFile(file, 'v = 1\n');
    } finally {
      process.umask(old);
    }
    expect([mode(file), mode(join(dir, 'a', 'b')), mode(join(dir, 'a'))]).toEqual(['600', '700', '700']);
    expect(readFileSync(file, 'utf8')).toBe('v = 1\n');
  });

  it.each([0o600, 0o640, 0o644])('keeps the mode %o of a file that is there', async (had) => {
    const file = join(dir, 'config.toml');
    writeFileSync(file, 'old, and longer than what replaces it');
    chmodSync(file, had);
    const before = statSync(file).ino;
    await writeConfigFile(file, 'new');
    expect([readFileSync(file, 'utf8'), mode(file), statSync(file).ino === before]).toEqual(['new', had.toString(8), false]);
    expect(readdirSync(dir)).toEqual(['config.toml']);
  });

  it('refuses a link and whatever is no file, and leaves nothing behind', async () => {
    writeFileSync(join(dir, 'target'), 'untouched');
    symlinkSync(join(dir, 'target'), join(dir, 'link'));
    symlinkSync(join(dir, 'absent'), join(dir, 'dangling'));
    mkdirSync(join(dir, 'directory'));
    for (const name of ['link', 'dangling', 'directory']) {
      await expect(writeConfigFile(join(dir, name), 'x'), name).rejects.toMatchObject({ code: 'config_untrusted' });
    }
    expect(readFileSync(join(dir, 'target'), 'utf8')).toBe('untouched');
    expect(lstatSync(join(dir, 'link')).isSymbolicLink()).toBe(true);
    expect(existsSync(join(dir, 'absent'))).toBe(false);
    expect(readdirSync(dir).sort()).toEqual(['dangling', 'directory', 'link', 'target']);
  });

  it('says what stands in the way', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expect(writeConfigFile(join(dir, 'file', 'config.toml'), 'x')).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringMatching(/cannot be written \((ENOTDIR|EEXIST)\)/) });
  });
});
