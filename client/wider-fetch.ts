/**
 * A server that wants more scopes for some of its operations (RFC 6750, section 3.1: 403, insufficient_scope): they are
 * added to those that there were, since a sign-in for the new ones alone would take the others away (MC-02).
 */
import { readResourceChallenge } from '../shared/challenge.ts';

export type Widening = {
  /** Those of the token until now. */
  readonly scopes: () => Promise<readonly string[]>;
  /** Resolves when tokens hold all of these; false: they cannot be had. */
  readonly widen: (scopes: readonly string[]) => Promise<boolean>;
};

type Fetch = typeof globalThis.fetch;

/** A server that is never content is not asked for ever. */
const TRIES = 3;

export function widenFetch(fetch: Fetch, { scopes, widen }: Widening): Fetch {
  let tries = 0;
  return async (input, init) => {
    for (;;) {
      const response = await fetch(input, init);
      const header = response.status === 403 ? response.headers.get('www-authenticate') : null;
      const wanted = header === null ? [] : readResourceChallenge(header)?.scopes ?? [];
      if (wanted.length === 0 || tries >= TRIES || !isSentAgain(init)) return response;
      const before = await scopes();
      const all = [...new Set([...before, ...wanted])];
      // It has all that it asks for, and still says no.
      if (all.length === before.length) return response;
      tries += 1;
      if (!await widen(all)) return response;
      await response.body?.cancel();
    }
  };
}

/** A stream is gone by now. */
function isSentAgain(init: RequestInit | undefined): boolean {
  const body = init?.body;
  return body === undefined || body === null || typeof body === 'string';
}
