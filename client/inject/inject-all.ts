/** What `valetkey run --inject` says, checked and opened: each profile is there, signed in, and may be used so. */
import { randomBytes } from 'node:crypto';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { CommandContext } from '../command.ts';
import { signInHere } from '../commands/login.ts';
import { checkVariable, parsePair } from '../run-plan.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { inject } from './serve.ts';
import type { Injected, Injection } from './serve.ts';

export type InjectOptions = {
  readonly inject?: readonly string[];
  readonly injectSocket?: readonly string[];
  readonly injectKey?: readonly string[];
};

const KEY_BYTES = 32;
const KEY_VARIABLE = 'VALETKEY_INJECT_KEY';
const NOTHING: Injected = { env: {}, close: () => undefined };

export type InjectPlan = {
  readonly wanted: readonly { readonly variable: string; readonly profile: string; readonly by: 'url' | 'socket' }[];
  /** Variables for the key of the run. */
  readonly keys: readonly string[];
};

/**
 * Pure.
 * @param taken - variables that hold something else
 * @throws ValetkeyError bad_request
 */
export function planInjections(options: InjectOptions, taken: readonly string[]): InjectPlan {
  const wanted = [
    ...(options.inject ?? []).map((text) => ({ ...parsePair('--inject', text, 'OPENAI_BASE_URL=llm'), by: 'url' as const })),
    ...(options.injectSocket ?? []).map((text) => ({ ...parsePair('--inject-socket', text, 'API_SOCKET=work'), by: 'socket' as const })),
  ];
  const keys = [KEY_VARIABLE, ...(options.injectKey ?? []).map(checkVariable)];
  if (wanted.length === 0) {
    if (keys.length > 1) throw ValetkeyError.local('bad_request', '--inject-key names a variable for a key that nothing asks for', { hint: 'Say what is injected: --inject NAME=PROFILE' });
    return { wanted, keys: [] };
  }
  const variables = [...taken, ...wanted.map(({ variable }) => variable), ...keys];
  const twice = variables.find((name, at) => variables.indexOf(name) !== at);
  if (twice !== undefined) throw ValetkeyError.local('bad_request', `${twice} would hold two things`, { hint: 'Name another variable for one of them' });
  return { wanted, keys };
}

/** @throws ValetkeyError bad_request, unknown_profile, login_required, platform_unsupported */
export async function openInjections(context: CommandContext, { wanted, keys }: InjectPlan, interactive: boolean): Promise<Injected> {
  if (wanted.length === 0) return NOTHING;
  const { daemon, terminal, signal, paths } = context;
  const { profiles } = await daemon.api.profiles(signal);
  const injections = wanted.map(({ profile, variable, by }): Injection => ({ variable, by, profile: found(profiles, profile) }));
  for (const profile of new Set(injections.map((each) => each.profile))) await signedIn(context, profile, interactive);
  const key = randomBytes(KEY_BYTES).toString('base64url');
  const { env, close } = await inject(injections, { key, fetch: daemon.fetch, warn: (text) => terminal.warn(text), runtimeDir: paths.runtimeDir });
  return { env: { ...env, ...Object.fromEntries(keys.map((name) => [name, key])) }, close };
}

function found(profiles: readonly ProfileView[], name: string): ProfileView {
  const profile = profiles.find((each) => each.name === name);
  if (profile === undefined) throw ValetkeyError.local('unknown_profile', `there is no profile ${name}`);
  return profile;
}

/** Before the program runs, which could not be asked. */
async function signedIn(context: CommandContext, { name, signed_in: isSignedIn }: ProfileView, interactive: boolean): Promise<void> {
  if (isSignedIn) return;
  if (!interactive) throw ValetkeyError.local('login_required', `nobody is signed in to ${name}`, { hint: `Run: valetkey login ${name}` });
  await signInHere(context, { profile: name }, true);
}
