/** Which script runs, by its bytes: of real processes, with real files that are changed under them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import { digestOfScript } from '../../daemon/callers/script-bytes.ts';
import type { Caller } from '../../daemon/core/domain.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { Processes } from '../support/processes.ts';

const UID = process.getuid?.() ?? 0;
const clock = createClock();
let processes: Processes;
let callers: ReturnType<typeof createCallers>;
beforeEach(() => {
  processes = new Processes();
  callers = createCallers({ loginctl: async () => null, ownCli: [] });
});
afterEach(async () => {
  callers.close();
  await processes.end();
});

const TEXT = 'echo $$\nread line\n';
/** Writes another command line over its own. */
const OVERWRITE = `
import ctypes, os, sys
stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
start, end = int(stat[45]), int(stat[46])
ctypes.memmove(start, (b'python3\\0' + sys.argv[1].encode() + b'\\0').ljust(end - start, b'\\0'), end - start)
print(os.getpid(), flush=True)
sys.stdin.read()
`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Start times are told in hundredths of a second. */
async function written(name: string, text = TEXT): Promise<string> {
  const path = processes.file(name, text);
  await longAgo(path);
  return path;
}
async function longAgo(path: string): Promise<void> {
  await expect.poll(() => Date.now() - statSync(path).ctimeMs, { interval: 5 }).toBeGreaterThan(40);
}
async function running(script: string): Promise<Caller> {
  const caller = await callers.attest({ uid: UID, pid: await processes.startAbove('sh', [script]) }, null);
  if (caller === null) return expect.unreachable('it is gone');
  expect(caller.origin.program.script).toBe(script);
  return caller;
}

describe.runIf(process.platform === 'linux')('the bytes of a script', () => {
  it('are those of its file, also of one that stands above the caller', async () => {
    const caller = await running(await written('a.sh'));
    expect(await digestOfScript(caller, clock)).toBe(sha256(TEXT));
    const { origin, executable, script, pid, startTime } = caller;
    const below: Caller = { ...caller, pid: process.pid, executable: '/opt/valetkey', script: null, origin: { ...origin, lineage: [{ pid, startTime, name: 'sh', executable, script }, ...origin.lineage] } };
    expect(await digestOfScript(below, clock)).toBe(sha256(TEXT));
  });

  it.each([
    ['written anew', (path: string) => writeFileSync(path, 'echo another\n')],
    ['put back as it was', (path: string) => { writeFileSync(path, 'x'); writeFileSync(path, TEXT); }],
    ['replaced by another file', (path: string) => { writeFileSync(`${path}.new`, 'echo another\n'); renameSync(`${path}.new`, path); }],
    ['replaced by a link', (path: string) => { rmSync(path); symlinkSync(processes.file('other.sh', 'echo another\n'), path); }],
    ['replaced by a named pipe', (path: string) => { rmSync(path); spawnSync('mkfifo', [path]); }],
    ['taken away', (path: string) => rmSync(path)],
  ])('[IP-10] cannot be told once the file was %s under the program that runs', async (_what, change) => {
    const path = await written('b.sh');
    const caller = await running(path);
    change(path);
    expect(await digestOfScript(caller, clock)).toBeNull();
  });

  it('[IP-10] are those of the file that was opened, and not of the one that its path seems to lead to', async () => {
    const path = await written('e.sh');
    const folder = dirname(path);
    mkdirSync(join(folder, 'elsewhere/inner'), { recursive: true });
    writeFileSync(join(folder, 'elsewhere/e.sh'), `${TEXT}# other code\n`);
    symlinkSync(join(folder, 'elsewhere/inner'), join(folder, 'link'));
    await written('late.sh');
    const caller = await callers.attest({ uid: UID, pid: await processes.startAbove('sh', [`${folder}/link/../e.sh`]) }, null);
    expect(caller?.origin.program.script).toBe(`${folder}/link/../e.sh`);
    expect(caller === null ? null : await digestOfScript(caller, clock)).toBe(sha256(`${TEXT}# other code\n`));
  });

  it('can be made to look like those of another script, as SECURITY.md says (control)', async ({ skip }) => {
    const path = await written('f.sh', 'true\n');
    const folder = dirname(path);
    const tools = join(folder, 'tools');
    mkdirSync(tools);
    renameSync(path, join(tools, 'f.sh'));
    // Another folder in its place while a program starts.
    renameSync(tools, join(folder, 'true-tools'));
    mkdirSync(tools);
    writeFileSync(join(tools, 'f.sh'), TEXT);
    // To give a file another path is a change of it.
    await longAgo(join(folder, 'true-tools/f.sh'));
    const { pid } = await running(join(tools, 'f.sh'));
    renameSync(tools, join(folder, 'false-tools'));
    renameSync(join(folder, 'true-tools'), tools);
    const looks = async (of: number) => {
      const caller = await callers.attest({ uid: UID, pid: of }, null);
      return caller === null ? null : [caller.origin.program.script, await digestOfScript(caller, clock)];
    };
    expect(await looks(pid)).toEqual([join(tools, 'f.sh'), sha256('true\n')]);
    if (spawnSync('python3', ['-c', 'import ctypes']).status !== 0) skip('python3 is not here');
    expect(await looks(await processes.startAbove('python3', ['-c', OVERWRITE, join(tools, 'f.sh'), 'x'.repeat(200)]))).toEqual([join(tools, 'f.sh'), sha256('true\n')]);
  });

  it('are others for the next program once the file is another', async () => {
    const first = await running(await written('c.sh'));
    const path = await written('c.sh', `${TEXT}# more\n`);
    expect(await digestOfScript(await running(path), clock)).toBe(sha256(`${TEXT}# more\n`));
    expect(await digestOfScript(first, clock)).toBeNull();
  });

  it('of a program without a script, or of one that has ended, are none', async () => {
    const caller = await running(await written('d.sh'));
    expect(await digestOfScript({ ...caller, origin: { ...caller.origin, program: { ...caller.origin.program, script: null } } }, clock)).toBeNull();
    expect(await digestOfScript({ ...caller, startTime: '1' }, clock)).toBeNull();
  });
});
