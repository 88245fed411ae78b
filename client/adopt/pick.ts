/** Applies the marks of a finder to what a file holds: where a secret is, and whose it may be. */
import type { Mark } from './finder.ts';
import { starOf } from './expand-path.ts';

export type Picked = {
  readonly kind: Mark['kind'];
  /** Never shown, nor part of anything that is. */
  readonly secret: string;
  readonly issuer: string | null;
  readonly client: string | null;
  readonly account: string | null;
};

const PICKED_MAX = 200;
const KEYS_MAX = 5_000;

/** The first star is that of the path. */
type Match = { readonly value: unknown; readonly stars: readonly (string | null)[] };

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function segmentsOf(pointer: string): readonly string[] {
  return pointer.split('/').slice(1).map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Own members only: a file may call a key __proto__. Keys of an array are its indices. */
function step({ value, stars }: Match, segment: string): readonly Match[] {
  if (!isTable(value)) return [];
  if (!segment.includes('*')) return Object.hasOwn(value, segment) ? [{ value: value[segment], stars }] : [];
  return Object.keys(value).slice(0, KEYS_MAX).flatMap((key) => {
    const star = starOf(segment, key);
    return star === null ? [] : [{ value: value[key], stars: [...stars, star] }];
  });
}

function matches(root: unknown, pointer: string, pathStar: string | null): readonly Match[] {
  const start: readonly Match[] = [{ value: root, stars: [pathStar] }];
  return segmentsOf(pointer).reduce((found, segment) => found.flatMap((match) => step(match, segment)).slice(0, KEYS_MAX), start);
}

/** The payload of a JWT, unchecked: it only labels what was found. */
function claimOf(jwt: string, claim: string): string | null {
  try {
    const payload: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const value = isTable(payload) && Object.hasOwn(payload, claim) ? payload[claim] : null;
    const first: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
    return typeof first === 'string' ? first : null;
  } catch {
    return null;
  }
}

function labelOf(root: unknown, label: string | undefined, stars: Match['stars']): string | null {
  if (label === undefined) return null;
  const star = /^\{(\d)\}$/.exec(label)?.[1];
  if (star !== undefined) return stars[Number(star)] ?? null;
  if (!label.startsWith('/')) return label;
  const [pointer = '', claim] = label.split('#');
  let next = 1;
  const filled = segmentsOf(pointer).map((segment) => (segment.includes('*') ? segment.replace('*', () => stars[next++] ?? '') : segment));
  const value = filled.reduce<unknown>((found, key) => (isTable(found) && Object.hasOwn(found, key) ? found[key] : undefined), root);
  if (typeof value !== 'string' || value === '') return null;
  return claim === undefined ? value : claimOf(value, claim);
}

/** A value that only names where the secret is, as `${NPM_TOKEN}` in an .npmrc, is none. */
function isSecret(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !/^\$\{?\w+\??\}?$/.test(value);
}

/** @param pathStar - what the star in the path of the file stands for */
export function pick(root: unknown, marks: readonly Mark[], pathStar: string | null = null): readonly Picked[] {
  return marks.flatMap((mark) => matches(root, mark.at, pathStar).flatMap(({ value, stars }): Picked[] => (isSecret(value) ? [{
    kind: mark.kind,
    secret: value,
    issuer: labelOf(root, mark.issuer, stars),
    client: labelOf(root, mark.client, stars),
    account: labelOf(root, mark.account, stars),
  }] : []))).slice(0, PICKED_MAX);
}
