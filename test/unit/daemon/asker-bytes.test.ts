import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../daemon/asker-bytes.ts';
import { isInterpreter } from '../../../daemon/callers/script.ts';
import type { Caller } from '../../../daemon/core/domain.ts';
import { someAsker } from '../../support/parties.ts';

const PYTHON = '/usr/bin/python3.11';
const bytes = (asker: Caller, script: string | null = null) => bytesOf({ callers: { digestOf: async () => 'aa' }, isInterpreter, scriptDigestOf: async () => script }, asker);
const nameOf = async (asker: Caller, script: string | null = null): Promise<string> => (await bytes(asker, script)).key;
const running = (executable: string, script: string | null, pid: number, startTime = '300'): Caller => someAsker({ pid, startTime, executable, script }, { program: { executable, script } });

describe('what a consent is given to', () => {
  it('is the bytes of a program, whichever process runs it', async () => {
    expect(await nameOf(running('/usr/bin/curl', null, 1))).toBe(await nameOf(running('/usr/bin/curl', null, 2)));
  });

  it('is the bytes of a script as well, or the process where those cannot be told', async () => {
    const script = '/opt/tool.py';
    expect(await nameOf(running(PYTHON, script, 1), 'bb')).toBe(await nameOf(running(PYTHON, script, 2), 'bb'));
    expect(await nameOf(running(PYTHON, script, 1), 'bb')).not.toBe(await nameOf(running(PYTHON, script, 1), 'cc'));
    expect(await nameOf(running(PYTHON, script, 1))).not.toBe(await nameOf(running(PYTHON, script, 2)));
  });

  it.each([PYTHON, '/usr/bin/node', '/usr/bin/bash', '/usr/bin/perl', '/usr/bin/python3.13t', '/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', '/bin/busybox', '/usr/bin/tclsh8.6', '/usr/bin/gdb'])('[IP-10] is the one process of %s where it runs code that is in no file', async (executable) => {
    const names = await Promise.all([running(executable, null, 1), running(executable, null, 2), running(executable, null, 1, '301')].map((asker) => nameOf(asker)));
    expect(new Set(names).size).toBe(3);
    expect(await nameOf(running(executable, null, 1))).toBe(names[0]);
    // So it is not kept beyond the daemon.
    expect((await bytes(running(executable, null, 1))).isOfFiles).toBe(false);
  });

  it.each([
    ['hides its file, whatever it calls itself', null],
    ['has a file that cannot be read to its end', '/opt/huge'],
  ])('[IP-10] is the one process of a program that %s', async (_what, executable) => {
    const nameless = (pid: number) => bytesOf({ callers: { digestOf: async () => null }, isInterpreter, scriptDigestOf: async () => null }, someAsker({ pid, executable }, { program: { executable, script: null } }));
    const [one, other] = [await nameless(1), await nameless(2)];
    expect(one.key).not.toBe(other.key);
    expect((await nameless(1)).key).toBe(one.key);
    expect(one.isOfFiles).toBe(false);
  });

  it('is the interpreter above the CLI that it asks by, and not that CLI, which is another process each time', async () => {
    const by = (pid: number): Caller => someAsker({ pid, executable: '/usr/bin/node', script: '/opt/valetkey.cjs' }, {
      program: { executable: PYTHON, script: null }, lineage: [{ pid: 70, startTime: '9', name: 'python3', executable: PYTHON, script: null }],
    });
    expect(await nameOf(by(1))).toBe(await nameOf(by(2)));
    expect(await nameOf(by(1))).toBe(await nameOf(running(PYTHON, null, 70, '9')));
  });
});
