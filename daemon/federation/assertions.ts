/** The Assertions port: somebody else's word for a workload, read anew for each request, looked at, and kept nowhere. */
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { Assertions } from '../core/workload.ts';
import { checkAssertion } from './check-assertion.ts';
import { readAssertionFile } from './read-file.ts';
import { runAssertionCommand } from './run-command.ts';

/** @param uid - null where the platform has no user ids */
export function createAssertions({ clock, home, uid }: { readonly clock: Clock; readonly home: string; readonly uid: number | null }): Assertions {
  return {
    async read({ name }, federated) {
      const { source } = federated;
      try {
        const text = source.kind === 'file' ? await readAssertionFile(source.path, uid) : await runAssertionCommand(source.argv, home, clock);
        checkAssertion(text, federated, Math.floor(clock.now() / 1000));
        return new Secret(text);
      } catch (cause) {
        if (!(cause instanceof BrokerError)) throw cause;
        throw new BrokerError(cause.code, `workload ${name}: ${cause.message}`, cause.facts);
      }
    },
  };
}
