/** The command line of the benchmark. */
import { describe, expect, it } from 'vitest';
import { parseOptions, usage } from '../../../bench/options.ts';

const parse = (...argv: readonly string[]) => parseOptions(argv, ['process', 'requests'], '/usr/bin/node');

describe('options of the benchmark', () => {
  it('runs everything by default, on the Node that it runs on itself, and writes nothing into the repository', () => {
    expect(parse()).toEqual({ kind: 'run', options: { isQuick: false, only: [], node: '/usr/bin/node', directory: null, json: null, svg: null, isRecorded: false } });
  });

  it('takes scenes, another Node, places and a quick run', () => {
    expect(parse('--quick', '--only', 'process', '--only', 'requests', '--node', '/opt/node', '--json', 'a.json', '--svg', 'a.svg', '--dir', '/data')).toEqual({
      kind: 'run', options: { isQuick: true, only: ['process', 'requests'], node: '/opt/node', directory: '/data', json: 'a.json', svg: 'a.svg', isRecorded: false },
    });
  });

  it.each([
    [['--only', 'speed'], 'there is no scene speed; there are: process, requests'],
    [['--only', 'process', '--record'], '--record takes a whole run'],
    [['--fast'], '--fast'],
    [['process'], 'process'],
  ])('refuses %j and says why', (argv, why) => {
    const asked = parse(...argv);
    expect(asked.kind === 'wrong' ? asked.why : '').toContain(why);
  });

  it('helps, whatever else is asked, and names every scene', () => {
    expect(parse('--help', '--quick').kind).toBe('help');
    expect(usage([{ name: 'cold', title: 'A cold token' }])).toMatch(/^ {2}cold {2}A cold token$/m);
  });
});
