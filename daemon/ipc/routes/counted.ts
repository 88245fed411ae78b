/** Requests for tokens that end with an error, counted by its code. What is answered at once costs nothing here. */
import { asBrokerError } from '../problem.ts';
import type { Handler } from '../dispatch.ts';
import type { Broker } from './broker.ts';

export function counted({ counts }: Pick<Broker, 'counts'>, what: 'tokens' | 'workloadTokens', handler: Handler): Handler {
  const note = (cause: unknown): never => {
    counts.refused(what, asBrokerError(cause).code);
    throw cause;
  };
  return (ask) => {
    try {
      const answer = handler(ask);
      return answer instanceof Promise ? answer.catch(note) : answer;
    } catch (cause) {
      return note(cause);
    }
  };
}
