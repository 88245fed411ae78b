/**
 * What a process in a container or on another machine may not do to this broker (IP-12): end it, erase or open what
 * it holds, or say which issuers it trusts. A token it may ask for, and a person is asked about that.
 */
import { BrokerError } from '../../core/errors.ts';
import type { Handler } from '../dispatch.ts';

export function fromHereOnly(handler: Handler): Handler {
  return (ask) => {
    const { origin } = ask.caller;
    if (origin.forwarded || origin.container) {
      throw new BrokerError('policy_denied', `this is done on the machine of the broker itself, and not ${origin.forwarded ? 'over a forwarded socket' : 'out of a container'}`, {
        reason: 'from-here-only', hint: 'Run the same command on the machine of the broker',
      });
    }
    return handler(ask);
  };
}
