/**
 * The measuring programs in C (bench/c/): compiled for each run into its private directory, and their output
 * read. A measurement with failures in it is no measurement: it throws.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Buckets } from './histogram.ts';
import { Unexpected } from './stage.ts';
import type { Environment, Stage } from './stage.ts';

const SOURCES = fileURLToPath(new URL('../../bench/c/', import.meta.url));

export type Dialect = 'line' | 'http' | 'json' | 'oidc';

export type LoadPlan = {
  readonly socket: string;
  readonly dialect: Dialect;
  readonly data: string;
  readonly path?: string;
  readonly isKept: boolean;
  readonly callers: number;
  readonly processes?: number;
  /** The length of the run, or the number of requests. */
  readonly for: { readonly seconds: number } | { readonly requests: number };
  readonly warmS?: number;
  /** Requests a second of the open loop; without it the loop is closed. */
  readonly rate?: number;
  readonly cpu?: number;
  /** Faults are part of what is measured. */
  readonly mayFail?: boolean;
};

export type Load = {
  readonly requests: number;
  readonly errors: number;
  readonly perSecond: number;
  /** Processor time of the generator, as a share of the time of the run: near 1 it was itself the bottleneck. */
  readonly generatorShare: number;
  readonly maxNs: number;
  readonly firstError: string;
  readonly buckets: Buckets;
};

/** What a program in this folder prints is trusted to have the shape that it was written with. */
function parseOutput<T>(text: string): T {
  return JSON.parse(text) as T;
}

type RawLoad = Omit<Load, 'perSecond' | 'generatorShare'> & { readonly inWindow: number; readonly windowNs: number; readonly cpuNs: number };

export type Command = {
  readonly words: readonly string[];
  readonly input?: string;
  /** Measured until it tells its status there, instead of to its end. */
  readonly untilStatus?: { readonly socket: string; readonly by: 'line' | 'http' };
};

export class Programs {
  readonly #stage: Stage;
  /** The compiler and flags of the floor; said with the results. */
  readonly compiler: string;
  readonly floor: string;

  private constructor(stage: Stage, compiler: string) {
    this.#stage = stage;
    this.compiler = compiler;
    this.floor = stage.path('floor');
  }

  static async compile(stage: Stage): Promise<Programs> {
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror'];
    const make = (compiler: string, name: string, sources: readonly string[], more: readonly string[]): Promise<boolean> =>
      stage.run(compiler, [...flags, ...more, '-o', stage.path(name), ...sources.map((source) => join(SOURCES, source)), '-ldl'])
        .then(({ code }) => code === 0, () => false);
    const tools = await Promise.all([make('cc', 'load', ['load.c', 'dialects.c'], []), make('cc', 'spawn', ['spawn.c'], []), make('cc', 'durable', ['durable.c'], [])]);
    if (tools.includes(false)) throw new Unexpected('a C compiler is needed to measure with: apt-get install gcc libc6-dev');
    for (const [compiler, more] of [['musl-gcc', ['-static']], ['cc', ['-static']], ['cc', []]] as const) {
      if (await make(compiler, 'floor', ['floor.c'], more)) return new Programs(stage, [compiler, ...more].join(' '));
    }
    throw new Unexpected('the C floor cannot be compiled');
  }

  async #output(name: string, args: readonly string[], env: Environment, cpu?: number): Promise<string> {
    const program = this.#stage.path(name);
    const ran = cpu === undefined ? await this.#stage.run(program, args, { env, limitMs: 600_000 }) : await this.#stage.run('taskset', ['-c', String(cpu), program, ...args], { env });
    if (ran.code !== 0) throw new Unexpected(`${name} ended with status ${ran.code}: ${ran.stderr.trim()}`);
    return ran.stdout;
  }

  async load(plan: LoadPlan): Promise<Load> {
    const raw = parseOutput<RawLoad>(await this.#output('load', [
      '--socket', plan.socket, '--dialect', plan.dialect, '--data', plan.data, '--callers', String(plan.callers),
      '--processes', String(plan.processes ?? 1), '--path', plan.path ?? '/v1/token', '--warm', String(plan.warmS ?? 0),
      ...('seconds' in plan.for ? ['--seconds', String(plan.for.seconds)] : ['--requests', String(plan.for.requests)]),
      ...(plan.isKept ? ['--kept'] : []), ...(plan.rate === undefined ? [] : ['--rate', String(plan.rate)]),
    ], this.#stage.env, plan.cpu));
    const { inWindow, windowNs, cpuNs, ...rest } = raw;
    if (plan.mayFail !== true && rest.errors > 0) throw new Unexpected(`${rest.errors} of ${rest.errors + rest.requests} requests failed: ${rest.firstError}`);
    return { ...rest, perSecond: inWindow / (windowNs / 1e9), generatorShare: cpuNs / windowNs };
  }

  /** Milliseconds of each command, as often as `times`; they took turns. */
  async processes(commands: readonly Command[], times: number, { env = this.#stage.env, atOnce = 1 } = {}): Promise<readonly (readonly number[])[]> {
    const words = commands.flatMap((command, i) => [
      ...(i === 0 ? [] : [',,']),
      ...(command.input === undefined ? [] : [`<${command.input}`]),
      ...(command.untilStatus === undefined ? [] : [`${command.untilStatus.by === 'line' ? '=' : '@'}${command.untilStatus.socket}`]),
      ...command.words,
    ]);
    const { series, failed } = parseOutput<{ series: number[][]; failed: number[] }>(await this.#output('spawn', [String(times), String(atOnce), ...words], env));
    const bad = failed.findIndex((count) => count > 0);
    if (bad >= 0) throw new Unexpected(`${commands[bad]?.words.slice(0, 3).join(' ')} failed in ${failed[bad]} of ${times} runs`);
    return series.map((each) => each.map((ns) => ns / 1e6));
  }

  /** Milliseconds of the writes and syncs of one rotation. */
  async durable(directory: string, reserved: number, sealed: number, times: number): Promise<readonly number[]> {
    return parseOutput<number[]>(await this.#output('durable', [directory, String(reserved), String(sealed), String(times)], this.#stage.env)).map((ns) => ns / 1e6);
  }
}
