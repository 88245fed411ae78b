/**
 * `npm run bench`: this build beside its peers and floors. Everything is started here, on loopback and in one
 * private directory, and gone at the end. See docs/benchmarks.md for what the lines mean.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD_VERSION } from '../shared/version.ts';
import { speaksLines } from './asking.ts';
import { FULL, QUICK } from './bench.ts';
import type { Bench, Scene } from './bench.ts';
import { Broker } from './broker.ts';
import { svgChart } from './chart.ts';
import { describeMachine, warningsOf } from './machine.ts';
import type { Machine } from './machine.ts';
import { parseOptions, usage } from './options.ts';
import type { BenchOptions } from './options.ts';
import { startPeers } from './peers.ts';
import { Programs } from './programs.ts';
import { replaceBetweenMarkers } from './results.ts';
import type { Results, SceneResult } from './results.ts';
import { Stage, Unexpected } from './stage.ts';
import { ask } from './subprocess.ts';
import { markdownTable, textTable } from './table.ts';
import { coldScene } from './scenes/cold.ts';
import { memoryScene, startScene } from './scenes/footprint.ts';
import { helpersScene } from './scenes/helpers.ts';
import { isolationScene } from './scenes/isolation.ts';
import { manyScene, oneCpuScene } from './scenes/latency.ts';
import { policyScene } from './scenes/policy.ts';
import { processScene } from './scenes/process.ts';
import { keptScene, requestsScene } from './scenes/requests.ts';

const SCENES: readonly Scene[] = [processScene, helpersScene, requestsScene, keptScene, oneCpuScene, manyScene, coldScene, isolationScene, policyScene, startScene, memoryScene];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function prepare(stage: Stage, options: BenchOptions): Promise<Bench> {
  const { node } = options;
  const programs = await Programs.compile(stage);
  const issuer = stage.forked(fileURLToPath(new URL('./processes/issuer.js', import.meta.url)), []);
  const started = await ask(issuer, 'start');
  if (typeof started !== 'object' || started === null || !('url' in started)) throw new Unexpected('the issuer did not start');
  const url = String(started.url);
  const broker = new Broker(stage, node, 'main');
  broker.configure({ work: { issuer: url } }, 'raised');
  await broker.start();
  await broker.unlock();
  await broker.signIn('work');
  broker.lines = await speaksLines(broker.socket) ? 'spoken' : 'not spoken';
  const peers = await startPeers(stage, url);
  const bare = fileURLToPath(new URL('./processes/bare.js', import.meta.url));
  const [line, fastify] = [stage.path('line.sock'), stage.path('fastify.sock')];
  const linePid = await stage.serve(node, [bare, 'line', line], line);
  await stage.serve(node, [bare, 'fastify', fastify], fastify);
  return {
    stage, node, programs, broker, peers, say,
    effort: options.isQuick ? QUICK : FULL, issuer: { process: issuer, url }, bare: { line, linePid, fastify },
  };
}

async function play(bench: Bench, scene: Scene): Promise<SceneResult> {
  const { name, title, isCharted } = scene;
  say(`${title} (${name})`);
  try {
    return { name, title, isCharted, lines: await scene.run(bench), failure: null };
  } catch (error) {
    // One scene that cannot be measured here takes no other one away; it is told in its place.
    const why = error instanceof Error ? error.message : String(error);
    say(`  not measured: ${why}`);
    return { name, title, isCharted, lines: [], failure: why };
  }
}

async function measure(stage: Stage, options: BenchOptions, machine: Machine): Promise<Results> {
  const bench = await prepare(stage, options);
  const scenes: SceneResult[] = [];
  for (const scene of SCENES.filter(({ name }) => options.only.length === 0 || options.only.includes(name))) scenes.push(await play(bench, scene));
  return {
    v: 1, build: BUILD_VERSION, at: new Date().toISOString(), isQuick: options.isQuick, machine, scenes,
    peers: bench.peers.all,
    warnings: [
      ...warningsOf(machine),
      ...(options.isQuick ? ['a quick run shows that the benchmark works; its figures prove nothing'] : []),
      ...(bench.broker.lines === 'spoken' ? [] : ['the daemon does not speak the line dialect: its lines are measured by HTTP, or not at all']),
      `the C floor was compiled by ${bench.programs.compiler}`,
    ],
  };
}

function preamble({ build, at, machine, peers, warnings }: Results): readonly string[] {
  return [
    `Valetkey ${build}, ${at.slice(0, 16).replace('T', ' ')} UTC`,
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryMb} MB; ${machine.kernel}; ${machine.filesystem}; Node ${machine.node}`,
    `load average before: ${machine.loadBefore.toFixed(2)}; processors busy before: ${Math.round(100 * machine.busyBefore)} %`,
    `peers: ${peers.map(({ name, version, missing }) => (missing === null ? `${name} (${version ?? '?'})` : `${name} left out (${missing})`)).join('; ')}`,
    ...warnings.map((warning) => `note: ${warning}`),
    'Each figure is a median; ± is half the distance of the quartiles. A ratio is the median of the ratios of runs that took turns.',
  ];
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function publish(results: Results, options: BenchOptions): void {
  const [json, svg] = [`${JSON.stringify(results, null, 1)}\n`, svgChart(results)];
  write(resolve(options.json ?? join(ROOT, 'dist/bench-results.json')), json);
  write(resolve(options.svg ?? join(ROOT, 'dist/bench-results.svg')), svg);
  process.stdout.write(`${preamble(results).join('\n')}\n\n${textTable(results.scenes, process.stdout.columns ?? 120)}`);
  if (!options.isRecorded) return;
  write(join(ROOT, 'bench/results/latest.json'), json);
  write(join(ROOT, 'docs/benchmarks.svg'), svg);
  const page = join(ROOT, 'docs/benchmarks.md');
  const text = `${preamble(results).map((line) => `- ${line}`).join('\n')}\n\n${markdownTable(results.scenes)}`;
  writeFileSync(page, replaceBetweenMarkers(readFileSync(page, 'utf8'), text));
}

async function run(options: BenchOptions): Promise<void> {
  if (process.platform !== 'linux') throw new Unexpected('the benchmark runs on Linux: it reads /proc and pins processors');
  const stage = new Stage(options.directory);
  try {
    const machine = await describeMachine(options.node, stage.directory);
    for (const warning of warningsOf(machine)) say(`note: ${warning}`);
    publish(await Promise.race([measure(stage, options, machine), stage.interrupted]), options);
  } finally {
    await stage.close();
  }
}

const asked = parseOptions(process.argv.slice(2), SCENES.map(({ name }) => name), process.execPath);
if (asked.kind === 'help') {
  process.stdout.write(usage(SCENES));
} else if (asked.kind === 'wrong') {
  process.stderr.write(`${asked.why}\n\n${usage(SCENES)}`);
  process.exitCode = 2;
} else {
  try {
    await run({ ...asked.options, node: resolve(asked.options.node) });
  } catch (error) {
    say(error instanceof Unexpected ? error.message : String(error instanceof Error ? error.stack : error));
    process.exitCode ??= 1;
  }
  // What a scene left hanging when the run was interrupted must not hold the process.
  process.exit();
}
