/** What was found, in words. */
import { duration } from '../time-words.ts';
import { FINDERS } from './finders/index.ts';
import type { Finder, SecretKind } from './finder.ts';
import type { Finding } from './find.ts';

const KINDS: Readonly<Record<SecretKind, string>> = {
  refresh_token: 'refresh token', access_token: 'access token', token: 'token', password: 'password', api_key: 'API key', client_secret: 'client secret',
};

export function kindWords(kind: SecretKind): string {
  return KINDS[kind];
}

export function modeWords(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}${(mode & 0o077) === 0 ? '' : ', others of this machine may reach it'}`;
}

/** `me at https://issuer`, as far as it is known. */
export function whose({ account, issuer }: Finding): string {
  return [...(account === null ? [] : [`of ${account}`]), ...(issuer === null ? [] : [`at ${issuer}`])].join(' ');
}

export function finderOf(tool: string): Finder | null {
  return FINDERS.find((finder) => finder.tool === tool) ?? null;
}

export function whatToDo(tool: string): string {
  const finder = finderOf(tool);
  return finder === null || finder.fix === null ? finder?.advice ?? '' : `Run: valetkey adopt --fix ${tool}`;
}

export function ageWords(finding: Finding, now: number): string {
  return `changed ${duration(now - finding.changedMs / 1000)} ago`;
}
