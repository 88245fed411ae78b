/**
 * What is inside the seals: JSON with the secrets in the clear, made and read only here. The content is
 * authenticated and its version was checked before it is parsed, so what comes back is what this code wrote.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { KeptConsents } from '../core/consents.ts';
import type { AccessToken, Grant, Revocation } from '../core/domain.ts';
import { Secret } from '../core/secret.ts';
import type { WorkloadRecord } from '../core/workload.ts';
import type { PinRecord } from './approval-pin.ts';
import type { KeptAuditKeys } from './audit-keys.ts';
import type { Binding } from './seal.ts';

type Clear<T> = T extends Secret ? string
  : T extends string | number | boolean | null ? T
  : T extends readonly (infer E)[] ? readonly Clear<E>[]
  : T extends object ? { readonly [K in keyof T]: Clear<T[K]> }
  : T;

export function grantBinding(vault: string, grant: Grant): Binding {
  return {
    kind: 'grant', vault, name: grant.profile, issuer: grant.issuer, sub: grant.identity?.sub ?? null,
    generation: grant.generation, digest: grant.digest,
  };
}

export function encodeGrant(grant: Grant): Uint8Array {
  const { state } = grant;
  const clear: Clear<Grant> = {
    ...grant,
    state: state.kind === 'parked' ? state : {
      kind: 'active',
      refreshToken: state.refreshToken?.reveal() ?? null,
      tokens: state.tokens.map((token) => ({ ...token, value: token.value.reveal() })),
    },
  };
  return Buffer.from(JSON.stringify(clear));
}

/** Null where the bytes are not such a record. They are zeroed. */
export function decodeGrant(bytes: Uint8Array): Grant | null {
  const clear = parse(bytes, 'state') as Clear<Grant> | null;
  if (clear === null) return null;
  const { state } = clear;
  // Records of earlier builds lack what was added since.
  const known = { ...clear, refreshTokenExpiresAt: clear.refreshTokenExpiresAt ?? null, authorizationExpiresAt: clear.authorizationExpiresAt ?? null, session: clear.session === undefined ? sessionOf(clear) : clear.session };
  if (state.kind === 'parked') return { ...known, state };
  return {
    ...known,
    state: {
      kind: 'active',
      refreshToken: state.refreshToken === null ? null : new Secret(state.refreshToken),
      tokens: state.tokens.map((token): AccessToken => ({ ...token, life: token.life ?? null, amr: token.amr ?? [], authTime: token.authTime ?? null, isStepUp: token.isStepUp ?? false, value: new Secret(token.value) })),
    },
  };
}

/** A person took part when they signed in; nothing more is known. */
function sessionOf({ signedInAt }: Clear<Grant>): Grant['session'] {
  const moment = { at: signedInAt, boot: null };
  return { startedAt: moment, lastActAt: moment };
}

export function revocationBinding(vault: string, revocation: Revocation): Binding {
  return {
    kind: 'revocation', vault, name: revocation.id, issuer: revocation.server.issuer, sub: null, generation: null, digest: null,
  };
}

export function encodeRevocation(revocation: Revocation): Uint8Array {
  // Its connection may be a whole profile: keep what the type names.
  const { caPem, proxy, allowLoopbackHttp } = revocation.connection;
  const clear: Clear<Revocation> = { ...revocation, connection: { caPem, proxy, allowLoopbackHttp }, token: revocation.token.reveal() };
  return Buffer.from(JSON.stringify(clear));
}

export function decodeRevocation(bytes: Uint8Array): Revocation | null {
  const clear = parse(bytes, 'tokenKind') as Clear<Revocation> | null;
  return clear === null ? null : { ...clear, token: new Secret(clear.token) };
}

/** The user's own client secret, for one issuer and client: those of the binding digest. */
export type ClientSecret = { readonly digest: string; readonly secret: Secret };

export function encodeSecret({ digest, secret }: ClientSecret): Uint8Array {
  const clear: Clear<ClientSecret> = { digest, secret: secret.reveal() };
  return Buffer.from(JSON.stringify(clear));
}

export function decodeSecret(bytes: Uint8Array): ClientSecret | null {
  const clear = parse(bytes, 'secret') as Clear<ClientSecret> | null;
  return clear === null ? null : { digest: clear.digest, secret: new Secret(clear.secret) };
}

export function encodeAuditKeys({ seed, last }: KeptAuditKeys): Uint8Array {
  const clear: Clear<KeptAuditKeys> = { seed: seed.reveal(), last };
  return Buffer.from(JSON.stringify(clear));
}

export function decodeAuditKeys(bytes: Uint8Array): KeptAuditKeys | null {
  const clear = parse(bytes, 'seed') as Clear<KeptAuditKeys> | null;
  return clear === null ? null : { seed: new Secret(clear.seed), last: clear.last };
}

export function encodePin(record: PinRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

export function decodePin(bytes: Uint8Array): PinRecord | null {
  return parse(bytes, 'pin') as PinRecord | null;
}

export function encodeWorkload(record: WorkloadRecord): Uint8Array {
  const clear: Clear<WorkloadRecord> = { ...record, keys: record.keys.map((key) => ({ ...key, privateJwk: key.privateJwk.reveal() })) };
  return Buffer.from(JSON.stringify(clear));
}

export function decodeWorkload(bytes: Uint8Array): WorkloadRecord | null {
  const clear = parse(bytes, 'keys') as Clear<WorkloadRecord> | null;
  return clear === null ? null : { ...clear, keys: clear.keys.map((key) => ({ ...key, privateJwk: new Secret(key.privateJwk) })) };
}

/** The floors as they are kept, and the boot in which they were written; null: not known. */
export type KeptFloors = { readonly boot: string | null; readonly floors: readonly (readonly [ProfileName, number])[]; readonly consents: number };

export function encodeFloors(kept: KeptFloors): Uint8Array {
  return Buffer.from(JSON.stringify(kept));
}

export function decodeFloors(bytes: Uint8Array): KeptFloors | null {
  const clear = parse(bytes, 'floors') as KeptFloors | null;
  // Those of earlier builds know of none.
  return clear === null ? null : { ...clear, consents: clear.consents ?? 0 };
}

export type ConsentRecord = KeptConsents & { readonly generation: number };

export function encodeConsents(record: ConsentRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

export function decodeConsents(bytes: Uint8Array): ConsentRecord | null {
  return parse(bytes, 'consents') as ConsentRecord | null;
}

/** @param member - that only this kind of record has: a file of one folder may have been moved into another */
function parse(bytes: Uint8Array, member: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
    return typeof value === 'object' && value !== null && member in value ? value : null;
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  } finally {
    bytes.fill(0);
  }
}
