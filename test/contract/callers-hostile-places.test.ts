/** Programs that stand where the kernel has no path to tell: the daemon has to see them all the same, and to go on. */
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import { firstLine } from '../support/built-platform.ts';
import { Processes } from '../support/processes.ts';

const uid = process.getuid?.() ?? -1;
/** Deeper than PATH_MAX; such a place is reached a step at a time. */
const DEEP = 'import os\nfor i in range(40):\n  os.mkdir("d" * 200)\n  os.chdir("d" * 200)\n';
const hasPython = spawnSync('/usr/bin/python3', ['-c', '']).status === 0;
if (!hasPython) console.log('skipped: programs in places too deep to be told; it takes python3');

let callers: ReturnType<typeof createCallers>;
let processes: Processes;

beforeEach(() => {
  processes = new Processes();
  callers = createCallers({ loginctl: async () => null, ownCli: [] });
});
afterEach(async () => {
  callers.close();
  spawnSync('rm', ['-rf', processes.dir]); // Node takes no way so deep
  await processes.end();
});

const goDeep = (then: string) => processes.start('/usr/bin/python3', ['-c', `${DEEP}${then}`]);

describe.skipIf(!hasPython)('a path that is too long to be told', () => {
  it('of the program that asks is that of none', async () => {
    const { pid } = await goDeep('import shutil\nshutil.copy("/bin/sleep", "tool")\nos.execv("./tool", ["tool", "1000"])');
    await expect.poll(async () => (await callers.attest({ uid, pid }, null))?.executable).toBeNull();
    expect((await callers.attest({ uid, pid }, null))?.origin).toMatchObject({ program: { executable: null } });
  });

  it('of the folder in which an interpreter runs leaves its script untold', async () => {
    const shell = await goDeep('open("run.sh", "w").write("echo ready; read line; true")\nos.execv("/bin/sh", ["sh", "run.sh"])');
    await firstLine(shell);
    expect(await callers.attest({ uid, pid: shell.pid }, null)).toMatchObject({ executable: realpathSync('/bin/sh'), script: null });
  });

  it('of a program that is moved there while it asks is another one than before', async () => {
    processes.copy('/bin/sleep', 'here/tool');
    // Without an environment it is not known by its memory, and its path is looked at each time.
    const { pid } = await processes.start(join(processes.dir, 'here/tool'), ['1000'], { env: {} });
    const caller = await callers.attest({ uid, pid }, null) ?? expect.unreachable('it has ended');
    expect(callers.stillSame(caller)).toBe(true);
    await firstLine(await goDeep(`os.rename("${processes.dir}/here", "here")\nprint("moved", flush=True)`));
    expect(callers.stillSame(caller)).toBe(false);
  });
});
