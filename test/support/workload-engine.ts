/** The engine of workloads over fakes: a clock that stands, an issuer that answers as told, a vault that records its steps. */
import type { TokenNeed } from '../../daemon/core/grant.ts';
import { Fingerprints } from '../../daemon/core/fingerprints.ts';
import { Secret } from '../../daemon/core/secret.ts';
import type { Workload } from '../../daemon/core/workload.ts';
import { Circuits } from '../../daemon/tokens/circuit.ts';
import { WorkloadKeys } from '../../daemon/workloads/workload-keys.ts';
import { WorkloadTokens } from '../../daemon/workloads/workload-tokens.ts';
import type { HeldTokens } from '../../daemon/workloads/workload-tokens.ts';
import { T0 } from './builders.ts';
import { someNeed } from './engine-rig.ts';
import { FakeAudit, FakeIssuer, FakeVault, fakeRandom, LogSink } from './fakes.ts';
import { FakeClock } from './fake-clock.ts';

const never = new AbortController().signal;

/** @param workload - gets its first key, unless somebody vouches for it */
export async function workloadEngine(workload: Workload) {
  const clock = new FakeClock(T0);
  const issuer = new FakeIssuer();
  const vault = new FakeVault();
  const audit = new FakeAudit();
  const log = new LogSink();
  const gate = { isLocked: false };
  const vouched: string[] = [];
  const discarded: HeldTokens[] = [];
  const deps = { clock, issuer, vault, audit, log, random: fakeRandom(), fingerprints: new Fingerprints(), isLocked: () => gate.isLocked };
  const circuits = new Circuits(deps);
  const keys = new WorkloadKeys(deps);
  const tokens = new WorkloadTokens({
    ...deps, keys, circuits, discard: (held) => void discarded.push(held),
    assertions: { read: async ({ name }) => {
      vouched.push(name);
      return new Secret(`assertion-${vouched.length}-EXAMPLE`);
    } },
  });
  if (workload.auth.kind === 'private_key_jwt') await keys.change(workload, 'init', 'ES256');
  return {
    clock, issuer, vault, audit, log, gate, circuits, keys, tokens, vouched, discarded,
    get: (over: Partial<TokenNeed> = {}, of = workload, signal = never) => tokens.get(of, someNeed(over), signal),
  };
}
