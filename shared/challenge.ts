/**
 * What a resource asks for when the sign-in behind a token was not strong or fresh enough (RFC 9470), read from
 * its WWW-Authenticate header (RFC 9110, section 11.6.1). The header is a stranger's: it is read once from left to
 * right, what does not fit the grammar asks for nothing, and nothing of it is repeated to anybody.
 */
import type { Scope } from './names.ts';
import { parseScope } from './names.ts';

/** What has to be reached. Null and empty: the resource does not say. */
export type StepUpDemand = {
  readonly acrValues: readonly string[];
  readonly maxAgeS: number | null;
  readonly scopes: readonly Scope[];
};

type Challenge = { readonly scheme: string; readonly params: ReadonlyMap<string, string> };

export const CHALLENGE_MAX = 8_192;
const CHALLENGES_MAX = 16;
const PARAMS_MAX = 32;
const ACR_MAX = 256;
const VALUES_MAX = 16;
const SCOPES_MAX = 64;
/** A year: what is older asks for nothing. */
const AGE_MAX_S = 31_536_000;

const SCHEMES: readonly string[] = ['bearer', 'dpop'];
/** RFC 9470, section 3. */
const ERROR = 'insufficient_user_authentication';

/** RFC 9110, sections 5.6.2 to 5.6.4 and 11.2. Sticky: each looks at one place and no further. */
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"/y;
const BLANK = /[ \t]*/y;
const SPACES = / +/y;
const SEPARATORS = /[ \t,]*/y;
const EQUALS = /[ \t]*=[ \t]*/y;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  get place(): number {
    return this.#at;
  }

  back(place: number): void {
    this.#at = place;
  }

  /** The whole match, or its first group; null where it does not stand here. */
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return null;
    this.#at = pattern.lastIndex;
    return found[1] ?? found[0];
  }
}

/** Null: the header, or any part of it, is not what the grammar says. */
function readChallenges(header: string): readonly Challenge[] | null {
  if (header.length > CHALLENGE_MAX) return null;
  const reader = new Reader(header);
  const challenges: Challenge[] = [];
  for (reader.take(SEPARATORS); !reader.isAtEnd; reader.take(SEPARATORS)) {
    const scheme = reader.take(TOKEN);
    if (scheme === null || challenges.length >= CHALLENGES_MAX) return null;
    const params = reader.take(SPACES) === null ? new Map<string, string>() : readCredentials(reader);
    if (params === null || !isBetween(reader)) return null;
    challenges.push({ scheme: scheme.toLowerCase(), params });
  }
  return challenges;
}

/** A comma or the end has to stand between two challenges; a parameter takes the comma behind it along. */
function isBetween(reader: Reader): boolean {
  if (reader.isAtEnd) return true;
  const place = reader.place;
  reader.take(BLANK);
  const isOver = reader.isAtEnd || (reader.take(SEPARATORS) ?? '').includes(',');
  reader.back(place);
  return isOver;
}

/** token68 holds nothing that is looked for. */
function readCredentials(reader: Reader): ReadonlyMap<string, string> | null {
  const start = reader.place;
  const params = readParams(reader);
  if (params === null || params.size > 0) return params;
  reader.back(start);
  reader.take(TOKEN68);
  return params;
}

/** Up to what is no parameter: the next challenge, or a mistake that the caller meets there. Null: one that is here. */
function readParams(reader: Reader): ReadonlyMap<string, string> | null {
  const params = new Map<string, string>();
  for (;;) {
    const place = reader.place;
    const name = reader.take(TOKEN)?.toLowerCase();
    if (name === undefined || reader.take(EQUALS) === null) {
      reader.back(place);
      return params;
    }
    const value = readValue(reader);
    if (value === null) {
      // `Basic YWJj==` begins like a parameter, and is none.
      reader.back(place);
      return params.size === 0 ? params : null;
    }
    // RFC 9110, section 11.2: once a challenge. Whoever says a thing twice cannot be held to either.
    if (params.has(name) || params.size >= PARAMS_MAX) return null;
    params.set(name, value);
    const end = reader.place;
    if (!(reader.take(SEPARATORS) ?? '').includes(',')) {
      reader.back(end);
      return params;
    }
    const next = reader.place;
    // What follows belongs to this challenge only where it is a parameter.
    if (reader.take(TOKEN) === null || reader.take(EQUALS) === null) {
      reader.back(end);
      return params;
    }
    reader.back(next);
  }
}

function readValue(reader: Reader): string | null {
  const quoted = reader.take(QUOTED);
  return quoted === null ? reader.take(TOKEN) : quoted.replaceAll(/\\(.)/g, '$1');
}

/**
 * What the resource asks for; null where it asks for no stronger or fresher sign-in, or not in a way that can be
 * believed. The first challenge that does counts.
 */
export function readStepUpDemand(header: string): StepUpDemand | null {
  const challenge = readChallenges(header)?.find(({ scheme, params }) => SCHEMES.includes(scheme) && params.get('error') === ERROR);
  if (challenge === undefined) return null;
  const acrValues = wordsOf(challenge.params.get('acr_values'));
  const words = wordsOf(challenge.params.get('scope'));
  const scopes = words.flatMap((word) => parseScope(word) ?? []);
  const age = challenge.params.get('max_age');
  const isRead = acrValues.length <= VALUES_MAX && acrValues.every(isAcr) && words.length <= SCOPES_MAX && scopes.length === words.length
    && (age === undefined || /^\d{1,12}$/.test(age));
  if (!isRead) return null;
  // Neither is said: that this sign-in will not do, so a new one.
  const isBare = acrValues.length === 0 && age === undefined;
  return { acrValues, maxAgeS: age === undefined ? (isBare ? 0 : null) : Math.min(Number(age), AGE_MAX_S), scopes: [...new Set(scopes)] };
}

/** Where the metadata of the resource is (RFC 9728, section 5.1), and which scopes it wants (RFC 6750, section 3); null where no challenge for a bearer token says either. */
export function readResourceChallenge(header: string): { readonly metadata: string | null; readonly scopes: readonly Scope[] } | null {
  const found = readChallenges(header)?.find(({ scheme, params }) => SCHEMES.includes(scheme) && (params.has('resource_metadata') || params.has('scope')));
  if (found === undefined) return null;
  const words = wordsOf(found.params.get('scope'));
  const scopes = words.flatMap((word) => parseScope(word) ?? []);
  // Half of what it wants would be refused again.
  return { metadata: found.params.get('resource_metadata') ?? null, scopes: words.length <= SCOPES_MAX && scopes.length === words.length ? [...new Set(scopes)] : [] };
}

function wordsOf(value: string | undefined): readonly string[] {
  return (value ?? '').split(' ').filter((word) => word !== '');
}

/** It goes into a URL and, cleaned, into messages. */
function isAcr(value: string): boolean {
  return value.length <= ACR_MAX && /^[\x21-\x7e]+$/.test(value);
}
