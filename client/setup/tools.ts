/** The tools whose configuration is files, each as in docs/credentials.md. */
import { readdirSync } from 'node:fs';
import { parseRole } from '../adapters/aws.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { withHelper, withoutHelper } from './docker-config.ts';
import { conflict } from './edit.ts';
import type { Edit } from './edit.ts';
import { purposesIn, withLines, withoutLines, withoutScript, withScript } from './own-lines.ts';
import { fileFrom, helperCommand, hostOf } from './tool.ts';
import type { Ask, Place, Tool, Undo } from './tool.ts';

const FILE = 0o600;
const PROGRAM = 0o755;

function lines(path: string, tool: string, { profile, url }: Pick<Ask, 'profile' | 'url'>, shows: readonly string[], isFree: (text: string) => void = () => undefined): Edit {
  return {
    path, mode: FILE, shows,
    change(before) {
      const others = withoutLines(path, before, { tool, profile, url }) ?? '';
      isFree(others);
      return withLines(path, before, { tool, profile, url }, shows);
    },
  };
}

const noLines = (path: string, tool: string, { profile, url }: Undo): Edit => ({
  path, mode: FILE, shows: [`what stands between "# valetkey setup ${tool} --profile ${profile}" and its end`],
  change: (before) => withoutLines(path, before, { tool, profile, url }),
});

const script = (path: string, tool: string, { profile, url }: Ask, command: string): Edit => ({
  path, mode: PROGRAM, shows: ['#!/bin/sh', command],
  change: (before) => withScript(path, before, { tool, profile, url }, command),
});

const noScript = (path: string, tool: string, { profile, url }: Undo): Edit => ({
  path, mode: PROGRAM, shows: ['the whole file'],
  change: (before) => withoutScript(path, before, { tool, profile, url }),
});

const inBin = ({ home }: Place, name: string): string => `${home}/.local/bin/${name}`;

function programsIn(folder: string, prefix: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.startsWith(prefix)).map((name) => `${folder}/${name}`);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause) return []; // no such directory
    throw cause;
  }
}

function isOnPath({ env }: Place, folder: string): boolean {
  return (env['PATH'] ?? '').split(':').includes(folder);
}

const gitConfig = (place: Place): string => fileFrom(place, 'GIT_CONFIG_GLOBAL', `${place.home}/.gitconfig`);
const awsConfig = (place: Place): string => fileFrom(place, 'AWS_CONFIG_FILE', `${place.home}/.aws/config`);
const cargoConfig = (place: Place): string => `${fileFrom(place, 'CARGO_HOME', `${place.home}/.cargo`)}/config.toml`;
const npmConfig = (place: Place): string => fileFrom(place, 'NPM_CONFIG_USERCONFIG', `${place.home}/.npmrc`);
const dockerConfig = (place: Place): string => `${fileFrom(place, 'DOCKER_CONFIG', `${place.home}/.docker`)}/config.json`;
const podmanConfig = (place: Place): string => fileFrom(place, 'REGISTRY_AUTH_FILE', `${place.home}/.config/containers/auth.json`);
const keyringFolder = ({ home }: Place): string => `${home}/.local/lib/valetkey`;

/** gitconfig(5): a value in quotes, in which \ and " are escaped. */
const gitValue = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

const git: Tool = {
  name: 'git', title: 'git', program: 'git',
  // An empty helper takes off all that stand before it, such as one that would write the token to a file.
  edits: (ask) => [lines(gitConfig(ask), 'git', ask, [`[credential "${ask.origin}"]`, '\thelper =', `\thelper = ${gitValue(`!${helperCommand(ask, 'git')}`)}`])],
  undo: (undo) => [noLines(gitConfig(undo), 'git', undo)],
  places: (place) => [gitConfig(place)],
  next: ({ origin }) => [`Other helpers are not asked about ${origin} any more.`],
};

function registryTool(name: 'docker' | 'podman', configOf: (place: Place) => string): Tool {
  // A program each: the one stays where the other is undone.
  const prefix = name === 'docker' ? 'valetkey-' : 'valetkey-podman-';
  const helperOf = (profile: string): string => `${prefix}${profile}`;
  const programOf = (place: Place, profile: string): string => inBin(place, `docker-credential-${helperOf(profile)}`);
  return {
    name, title: name, program: name,
    edits: (ask) => [
      script(programOf(ask, ask.profile), name, ask, `exec ${helperCommand(ask, 'docker')} "$@"`),
      {
        path: configOf(ask), mode: FILE, shows: [`"credHelpers": { "${hostOf(ask.origin)}": "${helperOf(ask.profile)}" }`],
        change: (before) => withHelper(configOf(ask), before, hostOf(ask.origin), helperOf(ask.profile)),
      },
    ],
    undo: (undo) => [
      {
        path: configOf(undo), mode: FILE, shows: [`"${helperOf(undo.profile)}" in credHelpers`],
        change: (before) => withoutHelper(configOf(undo), before, undo.origin === null ? null : hostOf(undo.origin), helperOf(undo.profile)),
      },
      noScript(programOf(undo, undo.profile), name, undo),
    ],
    places: (place) => programsIn(`${place.home}/.local/bin`, `docker-credential-${prefix}`),
    next: (ask) => (isOnPath(ask, `${ask.home}/.local/bin`) ? [] : [`Put ${ask.home}/.local/bin on PATH: ${name} looks for the helper there.`]),
  };
}

const aws: Tool = {
  name: 'aws', title: 'AWS CLI and SDKs', program: 'aws',
  edits(ask) {
    if (ask.role === null) throw ValetkeyError.local('bad_request', 'keys are those of a role', { hint: 'Name it: --role arn:aws:iam::123456789012:role/developer' });
    const more = ['--role', parseRole(ask.role)];
    return [lines(awsConfig(ask), 'aws', ask, [`[profile ${ask.profile}]`, `credential_process = ${helperCommand(ask, 'aws', more)}`], (others) => {
      if (others.split('\n').some((line) => line.replace(/\s+/g, ' ').trim() === `[profile ${ask.profile}]`)) throw conflict(`${awsConfig(ask)} has a profile ${ask.profile} already`, `See: aws configure list --profile ${ask.profile}`);
    })];
  },
  undo: (undo) => [noLines(awsConfig(undo), 'aws', undo)],
  places: (place) => [awsConfig(place)],
  next: ({ profile }) => [`Try: aws sts get-caller-identity --profile ${profile}`],
};

const pip: Tool = {
  name: 'pip', title: 'pip and uv', program: 'pip',
  edits: (ask) => [script(`${keyringFolder(ask)}/keyring`, 'pip', ask, `exec ${helperCommand(ask, 'keyring')} "$@"`)],
  undo: (undo) => [noScript(`${keyringFolder(undo)}/keyring`, 'pip', undo)],
  places: (place) => [`${keyringFolder(place)}/keyring`],
  next: (ask) => [
    `Write to the profile of your shell: export PATH="${keyringFolder(ask)}:$PATH" PIP_KEYRING_PROVIDER=subprocess PIP_NO_INPUT=1 UV_KEYRING_PROVIDER=subprocess`,
    `Name a user in the URL of the index: ${ask.url.replace('://', '://oauth2@')}`,
  ],
};

const pnpm: Tool = {
  name: 'pnpm', title: 'pnpm', program: 'pnpm',
  edits: (ask) => {
    const helper = inBin(ask, `pnpm-token-${ask.profile}`);
    const { host, pathname } = new URL(ask.url);
    return [
      script(helper, 'pnpm', ask, `exec ${[ask.valetkey, 'credential', 'pnpm', '--profile', ask.profile].join(' ')}`),
      lines(npmConfig(ask), 'pnpm', ask, [`//${host}${pathname.endsWith('/') ? pathname : `${pathname}/`}:tokenHelper=${helper}`]),
    ];
  },
  undo: (undo) => [noLines(npmConfig(undo), 'pnpm', undo), noScript(inBin(undo, `pnpm-token-${undo.profile}`), 'pnpm', undo)],
  places: (place) => [npmConfig(place)],
  next: () => ['npm runs no helper: see docs/credentials.md for it.'],
};

const cargo: Tool = {
  name: 'cargo', title: 'cargo', program: 'cargo',
  edits: (ask) => {
    const provider = inBin(ask, `cargo-credential-valetkey-${ask.profile}`);
    return [
      script(provider, 'cargo', ask, `exec ${helperCommand(ask, 'cargo')} "$@"`),
      lines(cargoConfig(ask), 'cargo', ask, [`[registries.${ask.profile}]`, `index = "sparse+${ask.url.endsWith('/') ? ask.url : `${ask.url}/`}"`, `credential-provider = "${provider}"`], (others) => {
        if (new RegExp(`^\\s*\\[\\s*registries\\s*\\.\\s*"?${ask.profile}"?\\s*\\]`, 'm').test(others)) throw conflict(`${cargoConfig(ask)} has a registry ${ask.profile} already`, 'Name it by another profile, or take it out');
      }),
    ];
  },
  undo: (undo) => [noLines(cargoConfig(undo), 'cargo', undo), noScript(inBin(undo, `cargo-credential-valetkey-${undo.profile}`), 'cargo', undo)],
  places: (place) => [cargoConfig(place)],
  next: ({ profile }) => [`The registry is named ${profile}: cargo add CRATE --registry ${profile}`],
};

export const TOOLS: readonly Tool[] = [git, registryTool('docker', dockerConfig), registryTool('podman', podmanConfig), aws, pip, pnpm, cargo];

/** The profiles that a tool is set up for, as its files say. */
export function profilesOf({ name, places }: Tool, place: Place, read: (path: string) => string | null): readonly string[] {
  const found = places(place).flatMap((path) => purposesIn(read(path) ?? '')).filter(({ tool }) => tool === name);
  return [...new Set(found.map(({ profile }) => profile))];
}
