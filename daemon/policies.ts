/**
 * The policy in force. A reload puts a whole new one in its place; a file with a mistake keeps the old one and
 * is told in status until it is mended. A file that somebody else could have changed keeps nothing: from then
 * on every request is refused.
 */
import { BrokerError } from './core/errors.ts';
import type { Log, PolicyFiles } from './core/ports.ts';
import type { Policies } from './ipc/routes/broker.ts';
import { compilePolicy } from './policy/decide.ts';
import type { Policy } from './policy/decide.ts';

type State = { readonly kind: 'open'; readonly policy: Policy; readonly trouble: string | null } | { readonly kind: 'closed'; readonly error: BrokerError };

/** Never rejects: a daemon whose policy cannot be read runs, refuses, and says why. */
export async function openPolicies({ policyFiles: files, log }: { readonly policyFiles: PolicyFiles; readonly log: Log }): Promise<Policies> {
  let state: State = await read(files).catch((cause: unknown) => closedBy(cause));
  if (state.kind === 'closed') log.error('policy_closed', { code: state.error.code, why: state.error.message });

  async function reload(): Promise<void> {
    try {
      state = await read(files);
    } catch (cause) {
      const closed = closedBy(cause);
      // What is only mistaken says nothing against the policy before it.
      state = state.kind === 'open' && closed.error.code !== 'policy_untrusted' ? { ...state, trouble: closed.error.message } : closed;
      log.error('policy_not_reloaded', { code: closed.error.code, why: closed.error.message, kept: state.kind === 'open' });
      throw closed.error;
    }
  }

  return {
    files,
    get trouble() {
      return state.kind === 'closed' ? `${state.error.message}; nothing is handed out` : state.trouble === null ? null : `${state.trouble}; the policy from before is still in force`;
    },
    inForce: () => (state.kind === 'open' ? state.policy : null),
    current: () => {
      if (state.kind === 'closed') throw new BrokerError(state.error.code, state.error.message);
      return state.policy;
    },
    reload,
    look: async () => void await read(files),
  };
}

async function read(files: PolicyFiles): Promise<State> {
  return { kind: 'open', policy: compilePolicy(await files.read()), trouble: null };
}

function closedBy(cause: unknown): State & { readonly kind: 'closed' } {
  if (cause instanceof BrokerError) return { kind: 'closed', error: cause };
  return { kind: 'closed', error: new BrokerError('policy_invalid', 'the policy could not be read', { cause }) };
}
