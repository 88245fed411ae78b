/**
 * Looks for secrets that other tools left in plain text, by the finders. Read-only.
 *
 * A finding holds no secret: it says of which kind it is, where, how old, and, as far as the file tells without giving
 * the secret away, whose. A label that is, holds or looks like a secret is withheld: a file may have it in the wrong place.
 */
import type { Finder, Place, SecretKind } from './finder.ts';
import { expandPath, starOfPath } from './expand-path.ts';
import type { Where } from './expand-path.ts';
import { readFormat } from './formats.ts';
import { pick } from './pick.ts';
import type { Picked } from './pick.ts';
import { readOwnFile } from './read-file.ts';
import type { Kept } from './read-file.ts';

export type Finding = {
  readonly tool: string;
  readonly kind: SecretKind;
  readonly path: string;
  readonly mode: number;
  readonly changedMs: number;
  readonly issuer: string | null;
  readonly client: string | null;
  readonly account: string | null;
  /** Of the file; tells whether it has changed since. */
  readonly identity: string;
  readonly realPath: string;
};
export type Skipped = { readonly tool: string; readonly path: string; readonly why: string };
export type Found = { readonly findings: readonly Finding[]; readonly skipped: readonly Skipped[] };
export type Owner = { readonly uid: number; readonly home: string };

const LABEL_MAX = 200;
export const WITHHELD = '(withheld: it looks like a secret)';
const PREFIXES = /^(?:gh[a-z]_|github_pat_|gl[a-z]+-[\w-]{16}|npm_|pypi-|sk-[\w-]{8,}$|xox[a-z]-|dop_v1_|dapi[0-9a-f]{16}|cio[A-Za-z0-9]{16}|hf_|AKIA[A-Z0-9]{12}|ya29\.|1\/\/|eyJ)/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function looksSecret(label: string): boolean {
  return PREFIXES.test(label) || label.split(/[.:/@]/).some((part) => part.length >= 32 && /\d/.test(part) && /[a-z]/i.test(part) && /^[\w+=-]+$/.test(part) && !UUID.test(part));
}

function withoutUserInfo(label: string): string {
  return label.replace(/^([a-z][\w+.-]*:\/\/)[^/@]*@/i, '$1');
}

function safeLabel(label: string | null, secrets: readonly string[], mayBeRandom: boolean): string | null {
  if (label === null) return null;
  const shown = withoutUserInfo(label).slice(0, LABEL_MAX);
  const holds = secrets.some((secret) => secret.length >= 4 && (label.includes(secret) || secret.includes(label) && label.length >= 8));
  return holds || (!mayBeRandom && looksSecret(shown)) ? WITHHELD : shown;
}

function findingOf(tool: string, path: string, { realPath, mode, changedMs, identity }: Kept, { kind, issuer, client, account }: Picked, secrets: readonly string[]): Finding {
  return {
    tool, kind, path, mode, changedMs, identity, realPath,
    issuer: safeLabel(issuer, secrets, false),
    client: safeLabel(client, secrets, true), // a client identifier is public, and often random
    account: safeLabel(account, secrets, false),
  };
}

async function look(tool: string, { path: pattern, format, marks }: Place, path: string, uid: number): Promise<Found> {
  const reading = await readOwnFile(path, uid);
  if (reading.kind === 'absent') return { findings: [], skipped: [] };
  if (reading.kind === 'skipped') return { findings: [], skipped: [{ tool, path, why: reading.why }] };
  const value = readFormat(format, reading.file.bytes);
  if (value === null) return { findings: [], skipped: reading.file.bytes.length === 0 ? [] : [{ tool, path, why: 'it cannot be understood' }] };
  const picked = pick(value, marks, starOfPath(pattern, path));
  const secrets = picked.map(({ secret }) => secret);
  // gh writes its token twice, for its user and for the host: what the first mark says of it is kept.
  const once = picked.filter(({ secret }, i) => secrets.indexOf(secret) === i);
  return { findings: once.map((each) => findingOf(tool, path, reading.file, each, secrets)), skipped: [] };
}

/** A path that two finders, or two patterns of one, lead to is looked at once for each format. */
export async function find(finders: readonly Finder[], owner: Owner, env: Where['env']): Promise<Found> {
  const found: Found[] = [];
  for (const { tool, places } of finders) {
    const seen = new Set<string>();
    for (const place of places) {
      for (const path of await expandPath(place.path, { home: owner.home, env })) {
        if (seen.has(path)) continue;
        seen.add(path);
        found.push(await look(tool, place, path, owner.uid));
      }
    }
  }
  return { findings: found.flatMap(({ findings }) => findings), skipped: found.flatMap(({ skipped }) => skipped) };
}
