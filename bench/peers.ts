/**
 * The programs beside which ours is measured, each set up in the private directory by its own means. What is not
 * installed is left out by name, with the command that would bring it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { obtainRefreshToken, PEER_CLIENT, PEER_SCOPE } from './refresh-token.ts';
import { Unexpected } from './stage.ts';
import type { Environment, Stage } from './stage.ts';
import type { Command } from './programs.ts';

export type Peer = {
  readonly name: string;
  readonly version: string | null;
  /** Why it is left out; null: it is there. */
  readonly missing: string | null;
};

export type ReadyPeer = Peer & {
  /** A secret from its cache, as a whole process. */
  readonly command: Command;
  readonly env: Environment;
};

export type OidcAgent = ReadyPeer & { readonly socket: string; readonly forced: string; readonly cached: string; readonly pid: number };

export type Peers = { readonly all: readonly Peer[]; readonly oidcAgent: OidcAgent | null; readonly others: readonly ReadyPeer[] };

const ACCOUNT = 'bench';

/** The first line that it says; null where it is not installed, or does not work. */
function versionOf(program: string, args: readonly string[]): string | null {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? (stdout || stderr).split('\n')[0]?.trim() ?? '' : null;
}

const absent = (name: string, how: string): Peer => ({ name, version: null, missing: how });

async function needSuccess(stage: Stage, file: string, args: readonly string[], env: Environment, input = ''): Promise<string> {
  const ran = await stage.run(file, args, { env, input, limitMs: 30_000 });
  if (ran.code !== 0) throw new Unexpected(`${file} ended with status ${ran.code}: ${(ran.stderr || ran.stdout).trim().slice(-300)}`);
  return ran.stdout;
}

async function startOidcAgent(stage: Stage, issuer: string): Promise<OidcAgent | Peer> {
  const name = 'oidc-agent';
  const version = versionOf('oidc-agent', ['--version']);
  if (version === null) return absent(name, 'apt-get install oidc-agent');
  const socket = stage.path('oidc.sock');
  const configuration = stage.path('oidc');
  mkdirSync(configuration, { mode: 0o700 });
  const env = { ...stage.env, OIDC_CONFIG_DIR: configuration, OIDC_ENCRYPTION_PW: 'bench-EXAMPLE', OIDC_SOCK: socket };
  // -d: stays in the foreground, so that its end is known.
  const pid = await stage.serve('oidc-agent', ['-d', '--no-autoload', '-a', socket], socket, env);
  await needSuccess(stage, 'oidc-gen', [
    ACCOUNT, '--iss', issuer, '--client-id', PEER_CLIENT.id, '--client-secret', PEER_CLIENT.secret, '--scope', PEER_SCOPE,
    '--rt', await obtainRefreshToken(issuer), '--redirect-uri', 'http://localhost:8080/', '--pw-env', '--prompt=none', '--confirm-default',
  ], env);
  const ask = (minimum: number): string => JSON.stringify({ request: 'access_token', account: ACCOUNT, min_valid_period: minimum, application_hint: 'bench' });
  await needSuccess(stage, 'oidc-token', [ACCOUNT], env);
  return { name, version, missing: null, command: { words: ['oidc-token', ACCOUNT] }, env, socket, pid, cached: ask(60), forced: ask(-1) };
}

async function startCredentialCache(stage: Stage): Promise<ReadyPeer | Peer> {
  const name = 'git credential-cache';
  const version = versionOf('git', ['--version']);
  if (version === null) return absent(name, 'apt-get install git');
  const directory = stage.path('git');
  mkdirSync(directory, { mode: 0o700 });
  const socket = stage.path('git', 'socket');
  const args = ['credential-cache', '--socket', socket];
  const asked = 'protocol=https\nhost=git.example\n';
  const input = stage.path('git', 'asked');
  writeFileSync(input, `${asked}\n`);
  // Started here, not by the first command: then it is a child, and its end is known.
  await stage.serve(`${execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim()}/git-credential-cache--daemon`, [socket], socket);
  await needSuccess(stage, 'git', [...args, 'store'], stage.env, `${asked}username=ada\npassword=secret-EXAMPLE\n\n`);
  if (!(await needSuccess(stage, 'git', [...args, 'get'], stage.env, `${asked}\n`)).includes('password=')) throw new Unexpected('git credential-cache forgot its secret');
  return { name, version, missing: null, command: { words: ['git', ...args, 'get'], input }, env: stage.env };
}

async function startSshAgent(stage: Stage): Promise<ReadyPeer | Peer> {
  const name = 'ssh-add -l';
  const version = versionOf('ssh', ['-V'])?.split(' ')[0] ?? null;
  if (version === null) return absent(name, 'apt-get install openssh-client');
  const socket = stage.path('ssh.sock');
  const env = { ...stage.env, SSH_AUTH_SOCK: socket };
  await stage.serve('ssh-agent', ['-D', '-a', socket], socket);
  await needSuccess(stage, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stage.path('ssh-key')], env);
  await needSuccess(stage, 'ssh-add', ['-q', stage.path('ssh-key')], env);
  return { name, version: version.replace(/,$/, ''), missing: null, command: { words: ['ssh-add', '-l'] }, env };
}

async function prepareGh(stage: Stage): Promise<ReadyPeer | Peer> {
  const name = 'gh auth token';
  const version = versionOf('gh', ['--version']);
  if (version === null) return absent(name, 'apt-get install gh');
  const env = { ...stage.env, GH_CONFIG_DIR: stage.path('gh') };
  mkdirSync(stage.path('gh'), { mode: 0o700 });
  writeFileSync(stage.path('gh', 'hosts.yml'), 'github.com:\n    oauth_token: gho_EXAMPLE\n    user: ada\n    git_protocol: https\n', { mode: 0o600 });
  await needSuccess(stage, 'gh', ['auth', 'token'], env);
  return { name, version, missing: null, command: { words: ['gh', 'auth', 'token'] }, env };
}

/** These need an account at their vendor before they say anything. */
function needsAnAccount(name: string, program: string, args: readonly string[]): Peer {
  const version = versionOf(program, args);
  return version === null ? absent(name, 'not installed') : { name, version, missing: 'it needs an account of its vendor, which no script can make' };
}

export async function startPeers(stage: Stage, issuer: string): Promise<Peers> {
  const oidc = await startOidcAgent(stage, issuer);
  const others = [await startCredentialCache(stage), await startSshAgent(stage), await prepareGh(stage)];
  return {
    all: [
      oidc, ...others, needsAnAccount('az account get-access-token', 'az', ['--version']),
      needsAnAccount('MSAL', 'python3', ['-c', 'import msal; print(msal.__version__)']),
    ].map(({ name, version, missing }) => ({ name, version, missing })),
    oidcAgent: 'socket' in oidc ? oidc : null,
    others: others.filter((peer): peer is ReadyPeer => peer.missing === null),
  };
}
