/**
 * A file to attach to a bug report: versions, findings, and what the daemon tells of itself. No token and no secret
 * is in any of it, by the protocol; who the person is, and where their home is, is taken out here. What looks like a
 * token all the same, in a text of an issuer or a tool, is taken out as well. The names of issuers and profiles
 * stay: without them nobody could follow. It is never written over a file that is there.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { hostname, release, userInfo } from 'node:os';
import { BUILD_VERSION } from '../../shared/version.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import type { DoctorFacts } from './facts.ts';
import type { Finding } from './finding.ts';

const BUNDLE_VERSION = 1;
/** Shorter names, such as `a`, stand in other words. */
const NAME_MIN = 3;

/** JSON Web Tokens, and what is as long and as random as a token. */
const TOKENS = /\bey[\w-]{8,}\.[\w-]+\.[\w-]*|[\w~+-]{40,}/g;
const MAIL = /[\w.+%-]+@[\w-]+(?:\.[\w-]+)+/g;
const USER_INFO = /:\/\/[^/\s@]+@/g;

export type Person = { readonly home: string; readonly user: string; readonly host: string };

function escaped(text: string): RegExp {
  return new RegExp(text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'), 'g');
}

/** Of every text in it, at any depth; keys are names of the code and stay. */
export function redact(value: unknown, person: Person): unknown {
  const { home, user, host } = person;
  const names = [[user, 'USER'], [host, 'HOST']] as const;
  const clean = (text: string): string => {
    const placed = home.length > 1 ? text.replace(escaped(home), '~') : text;
    const stripped = placed.replace(USER_INFO, '://<removed>@').replace(MAIL, '<mail>').replace(TOKENS, '<removed>');
    return names.reduce((before, [name, stand]) => (name.length < NAME_MIN ? before : before.replace(new RegExp(`(?<![A-Za-z0-9])${escaped(name).source}(?![A-Za-z0-9])`, 'g'), stand)), stripped);
  };
  const walk = (inner: unknown): unknown => {
    if (typeof inner === 'string') return clean(inner);
    if (Array.isArray(inner)) return inner.map(walk);
    if (typeof inner === 'object' && inner !== null) return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, walk(each)]));
    return inner;
  };
  return walk(value);
}

export function makeBundle(facts: DoctorFacts, findings: readonly Finding[]): unknown {
  const { now, daemon, diagnosis, flows, profiles, host, paths } = facts;
  return redact({
    v: BUNDLE_VERSION,
    made_at: new Date(now * 1000).toISOString(),
    client: BUILD_VERSION, node: host.node, system: `${host.platform} ${release()} ${process.arch}`,
    findings,
    // Who signed in is nobody's business but the person's.
    status: 'status' in daemon ? { ...daemon.status, grants: daemon.status.grants.map((grant) => ({ ...grant, subject: null, claims: {} })) } : null,
    failure: 'failure' in daemon ? daemon.failure : null,
    // A browser command may name the person's accounts.
    diagnosis, flows, profiles: profiles.map((profile) => ({ ...profile, browser: profile.browser === null ? null : ['<configured>'] })), paths,
    launcher: host.launcher, units: host.units,
  }, localPerson(paths.configFile));
}

function localPerson(somewhere: string): Person {
  try {
    const { username, homedir } = userInfo();
    return { home: homedir, user: username, host: hostname() };
  } catch {
    return { home: somewhere.split('/').slice(0, 3).join('/'), user: '', host: hostname() }; // a user whom the user database does not know
  }
}

/** @throws ValetkeyError bad_request where something is there already, or it cannot be written */
export function writeBundle(file: string, bundle: unknown): void {
  let handle: number;
  try {
    handle = openSync(file, 'wx', 0o600); // follows no link that somebody has put there
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw code === 'EEXIST'
      ? ValetkeyError.local('bad_request', `${file} is there already, and is not written over`, { cause, hint: 'Name another file: valetkey doctor --bundle OTHER' })
      : ValetkeyError.local('bad_request', `${file} cannot be written (${code})`, { cause, hint: 'Name another file: valetkey doctor --bundle OTHER' });
  }
  try {
    writeSync(handle, `${JSON.stringify(bundle, null, 2)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
