/**
 * Which Node and which program the service runs, by absolute paths that stay when a shell's version manager goes on
 * to another Node: no shim and no link of a shell, but the file behind, and a Node of the system rather than one
 * that the next `nvm uninstall` takes away.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { daemonProgram } from '../daemon-program.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type ServiceProgram = {
  readonly node: string;
  readonly flags: readonly string[];
  readonly program: string;
  /** What a person should know of these places. */
  readonly warnings: readonly string[];
};

/** Where version managers keep what they install. */
const MANAGERS: readonly (readonly [RegExp, string])[] = [
  [/\/\.?nvm\/versions\//, 'nvm'],
  [/\/\.?fnm(?:\/node-versions\/|_multishells\/)/, 'fnm'],
  [/\/\.volta\//, 'volta'],
  [/\/\.asdf\//, 'asdf'],
  [/\/(?:mise|rtx)\/installs\//, 'mise'],
  [/\/\.nodenv\//, 'nodenv'],
  [/\/\.nodebrew\//, 'nodebrew'],
  [/\/n\/versions\//, 'n'],
  [/^\/nix\/store\//, 'nix'],
];
/** Emptied without a word. */
const PASSING = /\/_npx\/|\/dlx-|\/\.yarn\/berry\/cache\//;
const SYSTEM_NODES = ['/usr/bin/node', '/usr/local/bin/node', '/opt/homebrew/bin/node'] as const;
const NODE_MIN = [20, 19] as const;
const PROBE_MS = 10_000;

export type Machine = {
  readonly ownNode: string;
  readonly ownProgram: () => string;
  readonly systemNodes: readonly string[];
  /** Null for what is no Node, or one that is too old. */
  readonly flagsOf: (node: string) => readonly string[] | null;
};

const THIS_MACHINE: Machine = { ownNode: process.execPath, ownProgram: () => realpathSync(daemonProgram()), systemNodes: SYSTEM_NODES, flagsOf };

export function managerOf(path: string): string | null {
  return MANAGERS.find(([pattern]) => pattern.test(path))?.[1] ?? null;
}

/** @throws ValetkeyError `service_unavailable` where the program is in a place that is emptied. */
export function serviceProgram({ ownNode, ownProgram, systemNodes, flagsOf: flagsFor }: Machine = THIS_MACHINE): ServiceProgram {
  const program = ownProgram();
  if (PASSING.test(program)) {
    throw ValetkeyError.local('service_unavailable', `this valetkey is in a cache (${program}) that is emptied some day`, { hint: 'Run: npm install -g valetkey, then: valetkey service install' });
  }
  const own = steady(existsSync(ownNode) ? realpathSync(ownNode) : ownNode);
  const manager = managerOf(own);
  const instead = manager === null ? null : systemNodes.find((node) => existsSync(node) && managerOf(realpathSync(node)) === null && flagsFor(node) !== null) ?? null;
  const node = instead ?? own;
  const passing = [...new Set([node, program])].flatMap((path) => {
    const of = managerOf(path);
    return of === null ? [] : [`${path} belongs to ${of}. When that version is removed the service does not start; then run: valetkey service install`];
  });
  return {
    node, program,
    flags: flagsFor(node) ?? [],
    warnings: [...(instead === null ? [] : [`${instead} runs the service, since ${own} belongs to ${manager ?? 'a version manager'}`]), ...passing],
  };
}

/** Homebrew's link to whichever version is installed, which stays when it upgrades. */
function steady(node: string): string {
  const link = node.replace(/^(.*)\/Cellar\/([^/]+)\/[^/]+\/bin\/node$/, '$1/opt/$2/bin/node');
  return existsSync(link) ? link : node;
}

/** As client/start-daemon.ts starts it: the young generation stays small, and no debugger by a signal where that Node knows the option. */
export function flagsOf(node: string): readonly string[] | null {
  const probe = 'JSON.stringify([process.versions.node, process.allowedNodeEnvironmentFlags.has("--disable-sigusr1")])';
  const { status, stdout } = spawnSync(node, ['-p', probe], { env: {}, encoding: 'utf8', timeout: PROBE_MS });
  const [, major, minor, knows] = /^\["(\d+)\.(\d+)[^"]*",(true|false)\]/.exec(status === 0 ? stdout : '') ?? [];
  const isFit = Number(major) > NODE_MIN[0] || (Number(major) === NODE_MIN[0] && Number(minor) >= NODE_MIN[1]);
  return isFit ? ['--max-semi-space-size=1', ...(knows === 'true' ? ['--disable-sigusr1'] : [])] : null;
}
