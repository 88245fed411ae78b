/**
 * One request for one token: where the issuer takes it, by what the client proves itself, whether the circuit of the
 * issuer lets it go, and what came of it. The key is read from the vault for each request and the assertion from where
 * it comes from: neither is kept.
 */
import type { Scope } from '../../shared/names.ts';
import type { AccessToken, AuthorizationServer } from '../core/domain.ts';
import { BrokerError, discardedAnswer, unreachable } from '../core/errors.ts';
import type { Fingerprints } from '../core/fingerprints.ts';
import { acceptToken, NO_PROOF } from '../core/grant.ts';
import type { Audit, Clock, Issuer, IssuerOutcome, Log, Random, Transient } from '../core/ports.ts';
import { instantOf } from '../core/time.ts';
import type { Assertions, Workload, WorkloadAt, WorkloadIssuer } from '../core/workload.ts';
import { afterFailure, NO_BACK_OFF } from '../tokens/back-off.ts';
import type { Circuits } from '../tokens/circuit.ts';
import { outageError } from '../tokens/refusals.ts';
import type { Lane, Slot } from './lane.ts';
import { proofOf } from './proof.ts';
import { rejectedError, transientError } from './refusals.ts';
import type { WorkloadKeys } from './workload-keys.ts';

export type RequestDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly issuer: Pick<Issuer, 'discover'> & Pick<WorkloadIssuer, 'clientCredentials'>;
  readonly keys: Pick<WorkloadKeys, 'record' | 'noteUse'>;
  readonly assertions: Assertions;
  readonly circuits: Circuits;
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
};

export type Wanted = { readonly scopes: readonly Scope[]; readonly resource: string | null; readonly byDefault: boolean };

/** Rejects with what every caller who waits for it is told. */
export async function requestToken(deps: RequestDeps, workload: Workload, slot: Slot, lane: Lane, want: Wanted): Promise<AccessToken> {
  const { clock, issuer } = deps;
  const found = await issuer.discover(workload);
  if (found.kind === 'transient') throw failed(deps, workload, slot, found);
  if (found.kind === 'rejected') throw refused(deps, lane, new BrokerError(found.code, found.description));
  slot.server = found.server;
  const client: WorkloadAt = { server: found.server, clientId: workload.clientId, connection: workload, proof: await proofOf(deps, workload) };
  const outcome = await throughCircuit(deps, workload, found.server, () => issuer.clientCredentials(client, workload, want));
  const at = instantOf(clock);
  switch (outcome.kind) {
    case 'transient':
      throw failed(deps, workload, slot, outcome);
    case 'rejected':
      slot.backOff = NO_BACK_OFF;
      throw refused(deps, lane, rejectedError(workload, outcome));
    case 'tokens': {
      slot.backOff = NO_BACK_OFF;
      // RFC 6749, section 3.3: where none are asked for, the issuer's own choice is what was asked.
      const asked = want.scopes.length === 0 ? outcome.tokens.scope ?? [] : want.scopes;
      const accepted = acceptToken(outcome.tokens, { scopes: asked, byDefault: want.byDefault, resource: want.resource, isStepUp: false, proof: NO_PROOF }, workload, at);
      if (accepted.kind === 'discard') throw refused(deps, lane, discardedAnswer(workload, accepted));
      lane.gave(accepted.token, at);
      await record(deps, workload, client, accepted.token);
      return accepted.token;
    }
    default:
      return unreachable(outcome);
  }
}

/** Shared with the refreshes of people's grants at this issuer: what cannot be reached is not knocked at by each in turn. */
async function throughCircuit({ circuits }: RequestDeps, workload: Workload, server: AuthorizationServer, send: () => Promise<IssuerOutcome>): Promise<IssuerOutcome> {
  const outage = await circuits.admit({ server, issuer: workload.issuer }, workload);
  if (outage !== null) throw outageError(outage, workload);
  let outcome: IssuerOutcome | null = null;
  try {
    outcome = await send();
    return outcome;
  } finally {
    if (outcome === null) circuits.unheard(workload);
    else if (outcome.kind === 'transient') circuits.failed(workload, outcome);
    else circuits.answered(workload);
  }
}

/** What does not reach the issuer is the circuit's business; an error of the issuer's holds this client back. */
function failed({ clock, random }: RequestDeps, workload: Workload, slot: Slot, transient: Transient): BrokerError {
  const { now: at, boottimeMs } = instantOf(clock);
  const { cause, retryAfterMs, reach } = transient;
  if (reach === 'server') slot.backOff = afterFailure(slot.backOff, { at, boottimeMs, cause, retryAfterMs }, random.fraction());
  return transientError(workload, transient, Math.max(1, Math.ceil((slot.backOff.notBeforeMs - boottimeMs) / 1000)));
}

function refused({ clock }: RequestDeps, lane: Lane, error: BrokerError): BrokerError {
  lane.refuse(error, instantOf(clock));
  return error;
}

async function record(deps: RequestDeps, workload: Workload, { proof }: WorkloadAt, token: AccessToken): Promise<void> {
  const { audit, fingerprints, keys, log } = deps;
  await audit.append({
    event: 'workload_token_obtained', profile: workload.name, caller: null, request: null,
    facts: {
      token: fingerprints.of(token.value), issuer: workload.issuer, client_id: workload.clientId, auth: workload.auth.kind,
      kid: proof.kind === 'key' ? proof.key.kid : null, scopes: token.scopes, resource: token.resource, expires_at: Math.floor(token.expiresAt / 1000),
    },
  });
  await keys.noteUse(workload).catch((cause: unknown) => {
    if (!(cause instanceof BrokerError)) throw cause;
    log.warn('workload_use_not_saved', { profile: workload.name, code: cause.code }); // the token is good all the same
  });
}
