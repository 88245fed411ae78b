/** A chain of processes that changes while it is read, on real processes of this machine. */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Lineage } from '../../daemon/callers/lineage.ts';
import { readStat } from '../../daemon/callers/proc.ts';
import { firstLine } from '../support/built-platform.ts';
import { Processes } from '../support/processes.ts';

let lineage: Lineage;
let processes: Processes;

beforeEach(() => {
  processes = new Processes();
  lineage = new Lineage();
});
afterEach(async () => {
  lineage.close();
  await processes.end();
});

describe('a chain', () => {
  it('[IP-10] is not taken for whole where somebody in it ends while it is read, and hides the agent above', async () => {
    const agent = processes.copy('/bin/sh', 'claude');
    // Of an interpreter the command line has to be waited for: meanwhile what it named as its parent can end.
    const below = processes.file('below.sh', 'sleep 1000 & echo $PPID $$ $!; wait; true\n');
    const shell = await processes.start(agent, ['-c', `sh -c 'sh ${below}; true'; read line; true`]);
    const [between = 0, interpreter = 0, pid = 0] = (await firstLine(shell)).split(' ').map(Number);
    for (const each of [interpreter, pid]) processes.stray(each);
    const stat = readStat(pid) ?? expect.unreachable('the process has ended');
    expect((await lineage.above(stat)).links.slice(0, 3)).toMatchObject([{ ancestor: { pid: interpreter } }, { ancestor: { pid: between } }, { agent: 'Claude Code' }]);
    lineage.close();
    const looking = lineage.above(stat);
    // In the same turn of the event loop, so that nothing more was read.
    process.kill(between, 'SIGKILL');
    while (existsSync(`/proc/${between}`)) { /* until its parent knows */ }
    const { links, isWhole } = await looking;
    expect(links.map((link) => link.agent), 'the agent is out of sight').not.toContain('Claude Code');
    expect(isWhole).toBe(false);
  });
});
