/**
 * The names that a completion script offers at Tab. It must be quick, silent, and change nothing: it starts no
 * daemon, waits a second at most, and where none runs it reads the names in the configuration. Only what is
 * shaped like a name is ever printed, so no shell can be told more than a word.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { PROFILE_NAME } from '../../shared/names.ts';
import type { CommandContext } from '../command.ts';

export const NAME_KINDS = ['profiles', 'workloads', 'questions', 'consents'] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** A person who has pressed Tab does not wait longer. */
const ANSWER_MS = 1_000;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

async function fromDaemon({ runningDaemon: { api }, signal }: CommandContext, kind: NameKind): Promise<readonly string[]> {
  const soon = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  switch (kind) {
    case 'profiles': return (await api.profiles(soon)).profiles.map(({ name }) => name);
    case 'workloads': return (await api.workloads(soon)).workloads.map(({ profile }) => profile);
    case 'questions': return (await api.approvals(soon)).pending.map(({ id }) => id);
    case 'consents': return (await api.approvals(soon)).active.map(({ id }) => id);
  }
}

/** Questions and consents live in the daemon's memory: where none runs there are none. */
async function fromConfiguration({ paths }: CommandContext, kind: NameKind): Promise<readonly string[]> {
  if (kind !== 'profiles' && kind !== 'workloads') return [];
  try {
    const table = parse(await readFile(paths.configFile, 'utf8'))[kind];
    return typeof table === 'object' ? Object.keys(table) : [];
  } catch {
    return []; // no file, or a bad one: whoever runs a verb is told
  }
}

export async function namesFor(context: CommandContext, kind: NameKind): Promise<readonly string[]> {
  const pattern = kind === 'questions' || kind === 'consents' ? ID : PROFILE_NAME;
  const names = await fromDaemon(context, kind).catch(async () => fromConfiguration(context, kind));
  return names.filter((name) => pattern.test(name));
}
