/**
 * A workload profile: what a person wrote, on top of what the preset says of the issuer. How the issuer is named and
 * reached is read as of any profile; what belongs to a person's sign-in is not there, and nor is a place for a secret.
 */
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { WorkloadTable } from '../../shared/workload-schemas.ts';
import type { Workload, WorkloadAuth } from '../core/workload.ts';
import { ASSERTION_KINDS, DEFAULT_ASSERTION_KIND } from './assertion-kinds.ts';
import { bindingDigest } from './digest.ts';
import { didYouMean } from './did-you-mean.ts';
import { isFault } from './fault.ts';
import type { Fault } from './fault.ts';
import { makeProfile } from './profile.ts';
import { programProblem } from './program.ts';

const fault = (key: string, problem: string): Fault => ({ path: [key], problem });

/** @param caPem - the certificates of `ca_file`. @param file - where `assertion_file` leads to. Both are read by the caller. */
export function makeWorkload(name: ProfileName, table: WorkloadTable, caPem: string | null, file: string | null): Workload | Fault {
  const made = makeProfile(name, issuerTable(table), caPem);
  if (isFault(made)) return made;
  if (made.endpoints !== null) return fault('preset', 'is of an issuer that knows no client credentials, or publishes no metadata: use one that does, such as "oidc"');
  const { owner, purpose, expires } = table;
  const expiresAt = expires === undefined ? null : Date.parse(`${expires}T00:00:00Z`);
  if (Number.isNaN(expiresAt)) return fault('expires', 'is not a day');
  const auth = authOf(table, made.issuer, file);
  if (isFault(auth)) return auth;
  const { preset, issuer, clientId, scopes, resource, tier, maxTokenLifeS, caFile, proxy, allowLoopbackHttp } = made;
  const binding = { issuer, clientId, clientAuth: 'none', endpoints: null } as const;
  return Object.freeze({
    name, preset, issuer, clientId, resource, tier, maxTokenLifeS, caFile, caPem, proxy, allowLoopbackHttp, endpoints: null,
    scopes: table.scopes === undefined ? [] : scopes,
    // Each request asks for what it wants, and there is no grant that less would be taken from.
    traits: Object.freeze({ ...made.traits, pkce: 'unused' as const, offlineScope: null, authorizationParams: {}, narrowing: 'safe' as const }),
    auth: Object.freeze(auth),
    digest: bindingDigest({ ...binding, caPem, proxy }),
    keyDigest: bindingDigest({ ...binding, caPem: null, proxy: null }),
    owner: owner ?? null, purpose: purpose ?? null, expiresAt: expiresAt as EpochMs | null,
  });
}

/** The part that every profile has. */
function issuerTable(table: WorkloadTable): ProfileTable {
  const { owner: _o, purpose: _p, expires: _e, assertion_from: _f, assertion_file: _file, assertion_command: _c, assertion_audience: _a, assertion_issuer: _i, assertion_subject: _s, ...common } = table;
  return { ...common, client_auth: 'none' };
}

function authOf(table: WorkloadTable, issuer: string, file: string | null): WorkloadAuth | Fault {
  const { assertion_command: argv, assertion_from: from = DEFAULT_ASSERTION_KIND } = table;
  if (file === null && argv === undefined) {
    const stray = (['assertion_from', 'assertion_audience', 'assertion_issuer', 'assertion_subject'] as const).find((key) => table[key] !== undefined);
    return stray === undefined ? { kind: 'private_key_jwt' } : fault(stray, 'needs assertion_file or assertion_command: where the assertion comes from');
  }
  if (file !== null && argv !== undefined) return fault('assertion_command', 'and assertion_file both say where the assertion comes from; keep one');
  const kind = ASSERTION_KINDS.get(from);
  if (kind === undefined) return fault('assertion_from', `is not known${didYouMean(from, [...ASSERTION_KINDS.keys()])} Known: ${[...ASSERTION_KINDS.keys()].join(', ')}`);
  const problem = argv === undefined ? null : programProblem(argv);
  if (problem !== null) return fault('assertion_command', problem);
  return {
    kind: 'federated', from, ...kind,
    issuer: table.assertion_issuer ?? kind.issuer, subject: table.assertion_subject ?? null,
    // RFC 7523, section 3 and RFC 10070: the issuer, and nobody else. Some want a name of their own instead.
    audience: table.assertion_audience ?? issuer,
    source: argv === undefined ? { kind: 'file', path: file ?? '' } : { kind: 'command', argv },
  };
}
