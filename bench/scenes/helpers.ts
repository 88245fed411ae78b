/** What a tool waits for each time that it asks its credential helper: the whole process, with a token from the cache. */
import { existsSync, writeFileSync } from 'node:fs';
import type { Bench, Scene } from '../bench.ts';
import { CLI, LAUNCHER } from '../broker.ts';
import { compare } from '../comparison.ts';
import type { Comparison } from '../comparison.ts';
import type { Command } from '../programs.ts';
import { pair, summarise } from '../statistics.ts';

const WHAT = 'a credential helper, whole process';
const EMPTY = 'empty Node';
/** git's own helper with a cache in memory. */
const GIT_PEER = 'git credential-cache';
const HOST = 'git.example.com';
const URL_OF = `https://${HOST}`;

/** As kubectl says whom it asks for (client.authentication.k8s.io/v1). */
const KUBECTL = JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', spec: { interactive: false, cluster: { server: URL_OF } } });
const CARGO = JSON.stringify({ v: 1, registry: { 'index-url': `sparse+${URL_OF}/`, name: 'mine' }, kind: 'get', operation: 'read' });

type Helper = { readonly name: string; readonly words: readonly string[]; readonly input?: string };

const bound = (kind: string, ...more: readonly string[]): readonly string[] => ['credential', kind, '--profile', 'work', '--url', URL_OF, ...more];

const HELPERS: readonly Helper[] = [
  { name: 'git', words: bound('git', 'get'), input: `protocol=https\nhost=${HOST}\n\n` },
  { name: 'docker', words: bound('docker', 'get'), input: HOST },
  { name: 'kubectl', words: bound('kubectl') },
  { name: 'keyring (pip, uv)', words: bound('keyring', 'get', `${URL_OF}/simple`, 'oauth2') },
  { name: 'cargo', words: bound('cargo'), input: `${CARGO}\n` },
  { name: 'curl', words: bound('curl', `${URL_OF}/x`) },
  { name: 'pnpm', words: ['credential', 'pnpm', '--profile', 'work'] },
];

export const helpersScene: Scene = {
  name: 'helpers',
  title: 'A token for a tool, by its credential helper',
  isCharted: false,
  async run(bench: Bench) {
    const { node, stage, programs, peers, broker, effort } = bench;
    const start = existsSync(LAUNCHER) ? [LAUNCHER] : [node, CLI];
    const commands = HELPERS.map(({ words, input }, i): Command => {
      if (input === undefined) return { words: [...start, ...words] };
      const file = stage.path(`helper-${i}`);
      writeFileSync(file, input);
      return { words: [...start, ...words], input: file };
    });
    const peer = peers.others.find(({ name }) => name === GIT_PEER);
    const all: readonly Command[] = [...commands, { words: [node, '-e', '0'] }, ...(peer === undefined ? [] : [peer.command])];
    const env = { ...peer?.env, ...broker.env, KUBERNETES_EXEC_INFO: KUBECTL };
    // What is measured has to work, and to be in every cache.
    for (const command of all) await programs.processes([command], 2, { env });
    const series = await programs.processes(all, effort.times, { env });
    const against = (kind: 'peer' | 'floor', name: string, theirs: readonly number[] | undefined, i: number): readonly Comparison[] => {
      const [ours, helper] = [series[i], HELPERS[i]];
      if (ours === undefined || theirs === undefined || helper === undefined) return [];
      return [compare({ what: WHAT, by: helper.name, unit: 'ms', ours: summarise(ours), other: { kind, name, figure: summarise(theirs) }, ratio: pair(ours, theirs, 'ratio'), difference: pair(ours, theirs, 'difference') })];
    };
    return [...HELPERS.flatMap((_, i) => against('floor', EMPTY, series[HELPERS.length], i)), ...(peer === undefined ? [] : against('peer', GIT_PEER, series[HELPERS.length + 1], 0))];
  },
};
