/** The stat of a real process, held: what changes in it is told, and what only counts on is not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HeldStat } from '../../daemon/callers/held-stat.ts';
import { parseStat } from '../../daemon/callers/proc.ts';
import { kill } from '../support/built-platform.ts';
import { Processes } from '../support/processes.ts';

let processes: Processes;
beforeEach(() => { processes = new Processes(); });
afterEach(async () => processes.end());

const open = (pid: number): HeldStat => HeldStat.open(pid) ?? expect.unreachable('it is gone');
const textOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'latin1');

describe('a stat that is held', () => {
  it('tells the same as long as only counters change', async () => {
    const held = open(process.pid);
    const first = held.read();
    const before = textOf(process.pid);
    for (let i = 0; i < 200; i += 1) writeFileSync('/dev/null', String(i));
    await expect.poll(() => textOf(process.pid)).not.toBe(before);
    expect(held.read()).toBe(first);
    expect(first).toEqual(parseStat(before));
    held.close();
  });

  it('tells of another name, and of another program', async () => {
    const child = await processes.start('sh', ['-c', 'read a; printf "x) Z 1 (y" > /proc/$$/comm; read b; exec sleep 1000']);
    const held = open(child.pid);
    const first = held.read() ?? expect.unreachable('it is gone');
    child.stdin?.write('\n');
    await expect.poll(() => held.read()?.comm).toBe('x) Z 1 (y');
    const named = held.read() ?? expect.unreachable('it is gone');
    expect(held.read()).toBe(named);
    expect({ ...named, comm: first.comm }).toEqual(first);
    child.stdin?.write('\n');
    await expect.poll(() => held.read()?.image).not.toBe(first.image);
    expect(held.read()).toMatchObject({ startTime: first.startTime, parent: first.parent });
    held.close();
  });

  it('tells of a name as long as the one before, and of another program of the same name', async () => {
    const child = await processes.start('sh', ['-c', 'read a; printf hs > /proc/$$/comm; read b; printf sh > /proc/$$/comm; read c; exec sh -c "read d"']);
    const held = open(child.pid);
    const first = held.read() ?? expect.unreachable('it is gone');
    child.stdin?.write('\n');
    await expect.poll(() => held.read()?.comm).toBe('hs');
    child.stdin?.write('\n');
    await expect.poll(() => held.read()?.comm).toBe('sh');
    expect(held.read()).toEqual(first);
    child.stdin?.write('\n');
    await expect.poll(() => held.read()?.image).not.toBe(first.image);
    expect(held.read()).toMatchObject({ comm: 'sh', startTime: first.startTime });
    held.close();
  });

  it('tells nothing of a process that has ended', async () => {
    const child = await processes.start('/bin/sleep', ['1000']);
    const held = open(child.pid);
    expect(held.read()).not.toBeNull();
    await kill(child);
    expect(held.read()).toBeNull();
    held.close();
    expect(HeldStat.open(child.pid)).toBeNull();
  });
});
