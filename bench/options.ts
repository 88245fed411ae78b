/** The command line of the benchmark. */
import { parseArgs } from 'node:util';

export type BenchOptions = {
  readonly isQuick: boolean;
  /** Names of scenes; empty: all. */
  readonly only: readonly string[];
  /** The Node that runs the daemon, the CLI and the floors. */
  readonly node: string;
  /** Where the private directory is made: the filesystem that the durable writes go to. */
  readonly directory: string | null;
  readonly json: string | null;
  readonly svg: string | null;
  readonly isRecorded: boolean;
};

export type Asked = { readonly kind: 'run'; readonly options: BenchOptions } | { readonly kind: 'help' } | { readonly kind: 'wrong'; readonly why: string };

export function usage(scenes: readonly { readonly name: string; readonly title: string }[]): string {
  const width = Math.max(...scenes.map(({ name }) => name.length));
  return `Usage: npm run bench -- [OPTION]…

Measures this build beside its peers and floors, on this machine, in one run.

  --quick        few and short rounds: shows that it works, proves nothing
  --only NAME    this scene only; may be repeated
  --node PATH    another Node for the daemon, the CLI and the floors
  --dir PATH     make the private directory there (default: that for temporary files); take a real disk
  --json PATH    write the results there (default: dist/bench-results.json)
  --svg PATH     write the chart there (default: dist/bench-results.svg)
  --record       also into the repository: bench/results/, docs/benchmarks.md and its chart
  --help

Scenes:
${scenes.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`).join('\n')}
`;
}

export function parseOptions(argv: readonly string[], names: readonly string[], node: string): Asked {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        node: { type: 'string', default: node },
        dir: { type: 'string' },
        json: { type: 'string' },
        svg: { type: 'string' },
        record: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return { kind: 'help' };
    const unknown = values.only.filter((name) => !names.includes(name));
    if (unknown.length > 0) return { kind: 'wrong', why: `there is no scene ${unknown.join(', ')}; there are: ${names.join(', ')}` };
    if (values.record && values.only.length > 0) return { kind: 'wrong', why: '--record takes a whole run: figures of different runs do not belong into one table' };
    return {
      kind: 'run',
      options: {
        isQuick: values.quick, only: values.only, node: values.node, directory: values.dir ?? null,
        json: values.json ?? null, svg: values.svg ?? null, isRecorded: values.record,
      },
    };
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) return { kind: 'wrong', why: error.message };
    throw error;
  }
}
