/**
 * POST /v1/diagnosis: tries the keychain, the files that it was told to work by, and every issuer, all at the same time
 * and each within its own time, so that one which hangs delays no other. Nothing secret is sent: metadata is fetched, and the token endpoint's
 * server is asked for a document. Those who ask at the same time get the same answer.
 */
import type { DiagnosisReply, IssuerTrial, UnreadFile } from '../../../shared/diagnosis-schemas.ts';
import type { Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Rejected, Transient } from '../../core/ports.ts';
import type { Workload } from '../../core/workload.ts';
import { withDeadline } from '../deadline.ts';
import type { Broker } from './broker.ts';

/** Of one issuer: name, connection, metadata, and the server of the token endpoint. */
const ISSUER_MS = 8_000;

type Found = Pick<IssuerTrial, 'state' | 'cause' | 'detail'>;
const WELL: Found = { state: 'well', cause: null, detail: null };

export function joinedDiagnosis(): (broker: Broker) => Promise<DiagnosisReply> {
  let underWay: Promise<DiagnosisReply> | null = null;
  return (broker) => (underWay ??= diagnose(broker).finally(() => {
    underWay = null;
  }));
}

async function diagnose(broker: Broker): Promise<DiagnosisReply> {
  const { profiles, workloads } = broker.config.current();
  const [keychain, unread, issuers] = await Promise.all([
    tryKeychain(broker),
    lookAtFiles(broker),
    Promise.all(byWay([...profiles.values(), ...workloads.values()]).map((alike) => tryIssuer(broker, alike))),
  ]);
  return { node: process.version, keychain, issuers: issuers.flat(), unread };
}

/** What a daemon that starts or reloads now would make of its files: the one that runs works by what it read before. */
async function lookAtFiles({ config, policies, hooks }: Broker): Promise<UnreadFile[]> {
  const looked = await Promise.all([
    lookAt('config', () => config.wouldChange()),
    lookAt('policy', async () => {
      await policies.look();
      return false;
    }),
    lookAt('hooks', async () => {
      await hooks.look();
      return false;
    }),
  ]);
  return looked.filter((found) => found !== null);
}

async function lookAt(file: UnreadFile['file'], wouldChange: () => Promise<boolean>): Promise<UnreadFile | null> {
  try {
    return await wouldChange() ? { file, state: 'changed', detail: null } : null;
  } catch (cause) {
    if (cause instanceof BrokerError) return { file, state: 'invalid', detail: cause.message };
    throw cause;
  }
}

/** Profiles that reach an issuer in the same way share one look at it. */
function byWay(all: readonly (Profile | Workload)[]): readonly (readonly (Profile | Workload)[])[] {
  const ways = new Map<string, (Profile | Workload)[]>();
  for (const each of all) {
    const { issuer, proxy, caFile, caPem, endpoints, traits, allowLoopbackHttp } = each;
    const way = JSON.stringify([issuer, proxy, caFile, caPem, endpoints, traits.metadata, traits.pkce, allowLoopbackHttp]);
    ways.set(way, [...ways.get(way) ?? [], each]);
  }
  return [...ways.values()];
}

async function tryIssuer(broker: Broker, alike: readonly (Profile | Workload)[]): Promise<readonly IssuerTrial[]> {
  const [first] = alike;
  if (first === undefined) return [];
  const { clock, issuer } = broker;
  const startedMs = clock.boottimeMs();
  const found = await look(broker, first);
  const skew = issuer.skews().find((each) => each.issuer === first.issuer);
  return [{
    issuer: first.issuer, profiles: alike.map(({ name }) => name), proxy: first.proxy, ca_file: first.caFile, ...found,
    // What was learnt before this look may be of another clock than the one that stands here now.
    skew_s: skew === undefined || found.state === 'unreachable' ? null : Math.round(skew.skewMs / 1000),
    took_ms: Math.round(clock.boottimeMs() - startedMs),
  }];
}

async function look(broker: Broker, profile: Profile | Workload): Promise<Found> {
  const { signal: nobody } = new AbortController(); // the answer may be for several, and one of them may leave
  try {
    return await withDeadline(broker, ISSUER_MS, nobody, async () => {
      const discovered = await broker.issuer.discover(profile, { fresh: true });
      if (discovered.kind !== 'server') return foundIn(discovered);
      const probed = await broker.issuer.probe(discovered.server, profile);
      return probed.kind === 'reached' ? WELL : foundIn(probed);
    });
  } catch (cause) {
    if (cause instanceof BrokerError && cause.code === 'deadline_exceeded') return { state: 'unreachable', cause: 'timeout', detail: null };
    // A proxy that may not be used, above all.
    if (cause instanceof BrokerError) return { state: 'refused', cause: cause.code, detail: cause.message };
    throw cause;
  }
}

function foundIn(outcome: Transient | Rejected): Found {
  return outcome.kind === 'transient'
    ? { state: 'unreachable', cause: outcome.cause, detail: null }
    : { state: 'refused', cause: outcome.code, detail: outcome.description };
}

async function tryKeychain({ config, vault, tryKeychain: run, clock }: Broker): Promise<DiagnosisReply['keychain']> {
  const { backend, state } = vault.status();
  if (backend === 'passphrase' || config.current().vault.backend === 'memory') return { state: 'not_used', took_ms: 0 };
  // It said so when the vault was opened; another try would open its dialog once more.
  if (backend === 'keychain' && state === 'locked') return { state: 'locked', took_ms: 0 };
  const startedMs = clock.boottimeMs();
  return { state: await run(), took_ms: Math.round(clock.boottimeMs() - startedMs) };
}
