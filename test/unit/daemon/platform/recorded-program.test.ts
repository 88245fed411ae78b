import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRecordedProgram } from '../../../../daemon/platform/recorded-program.ts';
import { whyUntrusted } from '../../../../daemon/platform/trusted-path.ts';

const uid = process.getuid?.() ?? 0;
const isRoot = uid === 0;
if (!isRoot) console.warn('not run in whole: only root can give a file to somebody else');
const STRANGER = 54_321;

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-recorded-')));
  chmodSync(base, 0o700);
});
afterEach(() => rmSync(base, { recursive: true }));

const at = (name: string): string => join(base, name);
const file = (name: string, text = '', mode = 0o600): string => {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
  return at(name);
};
const record = (more: Readonly<Record<string, unknown>> = {}): string => file('service.json', JSON.stringify({ v: 1, supervisor: 'systemd', node: file('node'), flags: ['--max-semi-space-size=1'], program: file('valetkeyd.cjs'), version: '1.2.3', ...more }));

describe('a trusted path', () => {
  it('is a regular file of this user or root, behind such directories and links', () => {
    mkdirSync(at('real'), { mode: 0o755 });
    file('real/program');
    symlinkSync('real', at('link'));
    symlinkSync('../link/./program', at('real/again'));
    symlinkSync(at('link/again'), at('absolute'));
    for (const name of ['real/program', 'link/program', 'real/again', 'absolute']) expect(whyUntrusted(at(name), uid), name).toBeNull();
    expect(whyUntrusted('/bin/sh', uid)).toBeNull();
  });

  it.each<readonly [string, () => string, RegExp]>([
    ['not there', () => at('none'), /is not there/],
    ['a relative path', () => 'program', /absolute/],
    ['a directory', () => base, /not a regular file/],
    ['the root', () => '/', /is a directory/],
    ['writable by others', () => file('open', '', 0o602), /others could change/],
    ['in a directory that others may write', () => {
      mkdirSync(at('open'));
      chmodSync(at('open'), 0o777);
      return file('open/program');
    }, /open has mode 0777/],
    ['behind a link into a directory that others may write', () => {
      mkdirSync(at('open'));
      chmodSync(at('open'), 0o777);
      file('open/program');
      symlinkSync('open/program', at('link'));
      return at('link');
    }, /open has mode 0777/],
    ['a loop of links', () => {
      symlinkSync('b', at('a'));
      symlinkSync('a', at('b'));
      return at('a');
    }, /loop/],
    ['beside a file', () => join(file('program'), 'x'), /not a directory/],
  ])('is none that is %s', (_, path, why) => {
    expect(whyUntrusted(path(), uid)).toMatch(why);
  });

  it.skipIf(!isRoot)('is none of a stranger: neither file, nor directory, nor link', () => {
    file('program');
    mkdirSync(at('theirs'), { mode: 0o755 });
    file('theirs/program');
    chownSync(at('theirs'), STRANGER, STRANGER);
    expect(whyUntrusted(at('theirs/program'), uid)).toContain(`owned by uid ${STRANGER}`);
    chownSync(at('program'), STRANGER, STRANGER);
    expect(whyUntrusted(at('program'), uid)).toContain(`owned by uid ${STRANGER}`);
    expect(whyUntrusted(at('program'), STRANGER)).toBeNull(); // (control: its own)
  });
});

describe('the recorded program', () => {
  it('is what service install wrote', () => {
    expect(readRecordedProgram(record(), uid, null)).toEqual({ node: at('node'), flags: ['--max-semi-space-size=1'], program: at('valetkeyd.cjs'), version: '1.2.3' });
  });

  it('is none where nothing was recorded', () => {
    expect(readRecordedProgram(at('service.json'), uid, null)).toBeNull();
  });

  it.each<readonly [string, () => string, RegExp]>([
    ['of a newer build', () => record({ v: 2 }), /has version 2/],
    ['that is no JSON', () => file('service.json', '{'), /no record/],
    ['without a program', () => record({ program: null }), /no record/],
    ['with a number for a flag', () => record({ flags: [1] }), /no record/],
    ['with a flag that loads code', () => record({ flags: ['--require=/x.cjs'] }), /start with --require$/],
    ['with a flag that opens a debugger', () => record({ flags: ['--inspect'] }), /--inspect/],
    ['whose program is gone', () => record({ program: at('gone') }), /gone is not there/],
    ['whose Node others may write', () => record({ node: file('node2', '', 0o777) }), /node2 has mode 0777/],
    ['whose program is named from where the daemon stands', () => record({ program: 'valetkeyd.cjs' }), /absolute/],
    ['that others may write', () => {
      chmodSync(record(), 0o666);
      return at('service.json');
    }, /service.json has mode 0666/],
    ['of a gigabyte', () => file('service.json', ' '.repeat(70_000)), /no record/],
  ])('is refused in a record %s', (_, path, why) => {
    expect(() => readRecordedProgram(path(), uid, null)).toThrow(why);
  });

  it.skipIf(!isRoot)('is the one that runs where that is root\'s: no other, and by no other program than Node', () => {
    chmodSync(base, 0o755);
    const program = file('valetkeyd.cjs', '', 0o755);
    symlinkSync('valetkeyd.cjs', at('valetkeyd'));
    const node = file('node', '', 0o755);
    const shell = file('sh', '', 0o755);
    const other = file('other.cjs', '', 0o755);
    // A program of this user wrote the record, and one of its own.
    const theirs = file('theirs.cjs', '', 0o755);
    chownSync(theirs, STRANGER, STRANGER);
    const read = (more: Readonly<Record<string, unknown>>, running: string | null): string | null => {
      chownSync(record({ node, program, ...more }), STRANGER, STRANGER);
      return readRecordedProgram(at('service.json'), STRANGER, running)?.program ?? null;
    };
    for (const same of [program, at('valetkeyd')]) expect(read({ program: same }, program)).toBe(same);
    for (const [more, why] of [[{ program: theirs }, /another program/], [{ program: other }, /another program/], [{ node: shell }, /is no Node/], [{ node: theirs }, /owned by uid 54321/]] as const) {
      expect(() => read(more, program)).toThrow(why);
      // What the user installed the user's programs could have changed as well.
      expect(read(more, theirs)).toBe('program' in more ? more.program : program);
    }
  });
});
