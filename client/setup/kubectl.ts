/** kubectl, by its own commands: a kubeconfig is YAML in one or several files, which nobody but kubectl should write. */
import { execFile } from 'node:child_process';
import { findProgram } from '../find-program.ts';
import { conflict } from './edit.ts';
import type { Ask, Place } from './tool.ts';

export type Kubectl = { readonly file: string; readonly place: Place; readonly signal: AbortSignal };

const WAIT_MS = 20_000;
const OUTPUT_MAX = 4 * 1024 * 1024;

export function findKubectl(place: Place, cwd: () => string, signal: AbortSignal): Kubectl {
  return { file: findProgram('kubectl', place.env['PATH'], cwd), place, signal };
}

/** @throws ValetkeyError setup_conflict with what kubectl said */
export async function runKubectl({ file, place: { home, env }, signal }: Kubectl, args: readonly string[]): Promise<string> {
  const kept = { HOME: home, PATH: env['PATH'] ?? '', ...(env['KUBECONFIG'] === undefined ? {} : { KUBECONFIG: env['KUBECONFIG'] }) };
  return new Promise((resolve, reject) => {
    execFile(file, args, { env: kept, signal, timeout: WAIT_MS, maxBuffer: OUTPUT_MAX, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (signal.aborted) reject(error);
      else reject(conflict(`kubectl ${args.slice(0, 2).join(' ')} ended with ${error.code ?? 'a signal'}: ${stderr.trim().split('\n')[0] ?? ''}`, 'A kubectl before 1.24 knows not all flags: see docs/credentials.md for the lines of the kubeconfig'));
    });
  });
}

type User = { readonly name?: unknown; readonly user?: { readonly exec?: { readonly command?: unknown; readonly args?: unknown } | null } | null };

/** The words of the plugin of this user; 'other' for a user who signs in otherwise; null for nobody of the name. */
export async function execOf(kubectl: Kubectl, name: string): Promise<readonly string[] | 'other' | null> {
  const config = JSON.parse(await runKubectl(kubectl, ['config', 'view', '--output=json'])) as { readonly users?: readonly User[] | null };
  const found = (config.users ?? []).find((each) => each.name === name);
  if (found === undefined) return null;
  const { command, args } = found.user?.exec ?? {};
  const words = [command, ...(Array.isArray(args) ? args as readonly unknown[] : [])].filter((word) => typeof word === 'string');
  return words[1] === 'credential' && words[2] === 'kubectl' ? words : 'other';
}

export function wantedExec({ valetkey, profile, origin }: Ask): readonly string[] {
  return [valetkey, 'credential', 'kubectl', `--profile=${profile}`, `--url=${origin}`];
}

export function setCredentials(ask: Ask): readonly string[] {
  const [command = '', ...args] = wantedExec(ask);
  return [
    'config', 'set-credentials', ask.profile, '--exec-api-version=client.authentication.k8s.io/v1', '--exec-interactive-mode=Never', '--exec-provide-cluster-info',
    `--exec-command=${command}`, ...args.map((arg) => `--exec-arg=${arg}`),
  ];
}
