/**
 * The one holder of the configuration. Readers always see a whole, valid Config; what changes it waits for
 * its turn, and where a reading fails the old one stays.
 */
import { isDeepStrictEqual } from 'node:util';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Config, Profile } from '../core/domain.ts';
import type { ConfigStore } from '../core/ports.ts';
import { BrokerError } from '../core/errors.ts';
import { addProfile, removeProfile } from './edit.ts';
import { PRESETS } from './presets/index.ts';
import { isFault } from './fault.ts';
import type { TextFile } from './files.ts';
import { redirectUris } from './profile.ts';
import { faultError, readConfig } from './read.ts';
import { readProfile } from './read-profile.ts';
import type { ProfileDeps } from './read-profile.ts';

export type StoreDeps = ProfileDeps & {
  readonly file: string;
  readonly clock: { now(): EpochMs };
  readonly writeFile: (path: string, text: string) => Promise<void>;
};

/** Throws as readConfig does where the first reading fails. */
export async function openConfigStore(deps: StoreDeps): Promise<ConfigStore> {
  const read = (readFile = deps.readFile): Promise<Config> => readConfig({ ...deps, readFile, now: deps.clock.now() });
  let config = await read();
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time: an edit between another's reading and writing would be lost. */
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const mine = turn.then(change, change);
    turn = mine;
    return mine;
  };

  const plan = async (name: ProfileName, table: unknown): Promise<Profile> => {
    const profile = await readProfile(deps, name, table);
    if (isFault(profile)) throw faultError({ ...profile, path: profile.path.slice(2) }, null, null);
    return profile;
  };

  /** Reads what is there, edits it, makes sure that the result is a configuration, and only then writes it. */
  const edit = async (change: (text: string) => string): Promise<void> => {
    const before = await deps.readFile(deps.file);
    await read(replaying(deps, before));
    const text = change(before?.text ?? '');
    const next = await read(replaying(deps, { text, uid: before?.uid ?? deps.uid ?? 0, mode: before?.mode ?? 0o600 }));
    await deps.writeFile(deps.file, text);
    config = next;
  };

  return {
    current: () => config,
    reload: () => inTurn(async () => {
      const before = config;
      config = await read();
      return { changed: changedProfiles(before, config) };
    }),
    wouldChange: () => inTurn(async () => !isDeepStrictEqual({ ...await read(), loadedAt: 0 }, { ...config, loadedAt: 0 })),
    plan,
    add: (name, table) => inTurn(async () => {
      await plan(name, table);
      await edit((text) => addProfile(text, name, table));
      const added = config.profiles.get(name);
      if (added === undefined) throw new BrokerError('internal', `profile ${name} was written but is not there`);
      return added;
    }),
    remove: (name) => inTurn(() => edit((text) => removeProfile(text, name))),
    removeWorkload: (name) => inTurn(() => edit((text) => removeProfile(text, name, 'workloads'))),
    redirectUris,
    caveats: (profile) => PRESETS.get(profile.preset)?.caveats ?? [],
  };
}

/** The configuration file as given, every other file from the disk. */
const replaying = (deps: StoreDeps, content: TextFile | null): StoreDeps['readFile'] => (path) => (path === deps.file ? Promise.resolve(content) : deps.readFile(path));

function changedProfiles(before: Config, after: Config): ProfileName[] {
  const names = new Set([before, after].flatMap(({ profiles, workloads }) => [...profiles.keys(), ...workloads.keys()]));
  return [...names].filter((name) => !isDeepStrictEqual([before.profiles.get(name), before.workloads.get(name)], [after.profiles.get(name), after.workloads.get(name)]));
}
