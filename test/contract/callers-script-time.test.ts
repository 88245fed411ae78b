/** When a script was changed, as far as its file tells, against when the program that runs it began. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import { readStat } from '../../daemon/callers/proc.ts';
import { digestOfScript } from '../../daemon/callers/script-bytes.ts';
import type { EpochMs } from '../../shared/names.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { someCaller, someOrigin } from '../support/builders.ts';
import { firstLine } from '../support/built-platform.ts';
import { Processes } from '../support/processes.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

/** Dirty before the program starts, and put back through the same mapping: the file was changed for the last time before. */
const MAPPED = `
import mmap, os, subprocess, sys, time
path = sys.argv[1]
good, other = b'echo good; read line\\n', b'echo evil; read line\\n'
file = os.open(path, os.O_RDWR)
view = mmap.mmap(file, len(good))
view[:] = other
time.sleep(0.1)
shell = subprocess.Popen(['sh', path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
said = shell.stdout.readline().decode().strip()
view[:] = good
print(said, shell.pid, flush=True)
sys.stdin.read()
`;

describe.runIf(process.platform === 'linux')('the time of a change', () => {
  it.each([[-1, null], [0, null], [9, null], [19, null], [40, 'echo good\n']] as const)('[IP-10] counts as told a tick of the kernel too early: %i ms before the program began', async (beforeMs, text) => {
    const script = processes.file('a.sh', 'echo good\n');
    const stat = readStat(process.pid) ?? expect.unreachable('these tests have ended');
    const program = { executable: process.execPath, script };
    const caller = someCaller({ pid: process.pid, startTime: stat.startTime, ...program, origin: someOrigin({ program, lineage: [] }) });
    const { ctimeMs } = statSync(script);
    // Of a file system that keeps whole seconds nothing so near is believed.
    const startedAt = ctimeMs + beforeMs + (text !== null && ctimeMs % 1000 === 0 ? 2_000 : 0);
    const clock = { now: () => startedAt as EpochMs, boottimeMs: () => Number(stat.startTime) * 10 };
    expect(await digestOfScript(caller, clock)).toBe(text === null ? null : sha256(text));
  });

  it('is not told of what is written through a mapping, as SECURITY.md says (control)', async ({ skip }) => {
    if (spawnSync('python3', ['-c', 'import mmap']).status !== 0) skip('python3 is not here');
    const script = processes.file('a.sh', 'echo good; read line\n');
    const writer = await processes.start('python3', ['-c', MAPPED, script]);
    const [said, pid] = (await firstLine(writer)).split(' ');
    processes.stray(pid ?? '');
    const callers = createCallers({ loginctl: async () => null, ownCli: [] });
    const caller = await callers.attest({ uid: process.getuid?.() ?? 0, pid: Number(pid) }, null) ?? expect.unreachable('it is gone');
    expect([said, await digestOfScript(caller, createClock())]).toEqual(['evil', sha256('echo good; read line\n')]);
    callers.close();
  });
});
