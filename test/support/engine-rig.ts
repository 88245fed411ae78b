/** The engine over fakes: a clock that stands, an issuer that answers as told, a vault that records its steps. */
import type { Grant, Profile } from '../../daemon/core/domain.ts';
import type { TokenNeed } from '../../daemon/core/grant.ts';
import { Fingerprints } from '../../daemon/core/fingerprints.ts';
import { Admission } from '../../daemon/tokens/admission.ts';
import { Ahead } from '../../daemon/tokens/ahead.ts';
import { Circuits } from '../../daemon/tokens/circuit.ts';
import { Grants } from '../../daemon/tokens/grant-book.ts';
import { Metadata } from '../../daemon/tokens/metadata.ts';
import { Revocations } from '../../daemon/tokens/revocations.ts';
import { TokenSource } from '../../daemon/tokens/token-source.ts';
import type { Served } from '../../daemon/tokens/token-source.ts';
import type { ProfileName } from '../../shared/names.ts';
import { T0 } from './builders.ts';
import { FakeAudit, FakeIssuer, FakeVault, fakeRandom, LogSink } from './fakes.ts';
import { FakeClock } from './fake-clock.ts';

const never = new AbortController().signal;

export const someNeed = (over: Partial<TokenNeed> = {}): TokenNeed => ({ scopes: null, resource: null, minTtlMs: 60_000, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null, ...over });

export type EngineRig = {
  readonly clock: FakeClock;
  readonly issuer: FakeIssuer;
  readonly vault: FakeVault;
  readonly audit: FakeAudit;
  readonly log: LogSink;
  readonly book: Grants;
  readonly source: TokenSource;
  readonly circuits: Circuits;
  readonly ahead: Ahead;
  readonly metadata: Metadata;
  readonly revocations: Revocations;
  readonly gate: { isLocked: boolean };
  readonly stop: AbortController;
  get(profile: Profile, over?: Partial<TokenNeed>, signal?: AbortSignal): Promise<Served>;
};

/** @param fractions - what Random gives for jitter, again and again */
export async function engineRig(grants: readonly Grant[], profiles: readonly Profile[], fractions: readonly number[] = [0.5]): Promise<EngineRig> {
  const clock = new FakeClock(T0);
  const issuer = new FakeIssuer();
  const vault = new FakeVault();
  const audit = new FakeAudit();
  const log = new LogSink();
  let drawn = 0;
  const random = { ...fakeRandom(), fraction: (): number => fractions[(drawn += 1) % fractions.length] ?? 0 };
  for (const grant of grants) vault.stored.set(grant.profile, { grant, intent: null });
  const stop = new AbortController();
  const table: ReadonlyMap<ProfileName, Profile> = new Map(profiles.map((profile) => [profile.name, profile]));
  const deps = { clock, issuer, vault, audit, log, fingerprints: new Fingerprints(), random, signal: stop.signal };
  const book = new Grants({ ...deps, graceOf: (name) => table.get(name)?.traits.refreshGraceS ?? null, onChange: () => undefined });
  const revocations = new Revocations({ ...deps, revokeOfWorkload: async () => ({ kind: 'unsupported' }) });
  const gate = { isLocked: false };
  const circuits = new Circuits(deps);
  const source: TokenSource = new TokenSource({
    ...deps, book, revocations, admission: new Admission({ circuits, clock }), isLocked: () => gate.isLocked, onRefreshed: (profile) => metadata.refreshed(profile),
    serverOf: (grant) => metadata.serverOf(grant),
    onServed: (profile, token, need, at) => ahead.served(profile, token, need, at),
  });
  const config = { current: () => ({ profiles: table }) as never };
  const ahead = new Ahead({ ...deps, book, source, config });
  const metadata = new Metadata({ ...deps, book, config });
  await book.load();
  return {
    clock, issuer, vault, audit, log, book, source, circuits, ahead, metadata, revocations, gate, stop,
    get: (profile, over = {}, signal = never) => source.get(profile, someNeed(over), signal),
  };
}
