import { later } from '../../core/later.ts';
import type { Handler, Handlers } from '../dispatch.ts';
import { answerApproval, approvals, revokeApproval } from './approvals.ts';
import type { Broker } from './broker.ts';
import { audit, trace } from './audit.ts';
import { lock, panic, purge, reload, shutdown, status, unlock } from './daemon.ts';
import { events } from './events.ts';
import { endSession, grants, logout } from './grants.ts';
import { cancelLogin, confirmLogin, login, startLogin } from './logins.ts';
import { checkPolicy, explainPolicy } from './policy.ts';
import { addProfile, profiles, removeProfile } from './profiles.ts';
import { token } from './token.ts';
import { whoami } from './whoami.ts';

const openApiModule = later(() => import('../openapi.ts'));

/** A handler for each method of shared/methods.ts. */
export function createHandlers(broker: Broker): Handlers {
  const on = (handler: (broker: Broker, ask: Parameters<Handler>[0]) => unknown): Handler => (ask) => handler(broker, ask);
  return {
    token: on(token),
    startLogin: on(startLogin), login: on(login), cancelLogin: on(cancelLogin), confirmLogin: on(confirmLogin),
    profiles: on(profiles), addProfile: on(addProfile), removeProfile: on(removeProfile),
    grants: on(grants), logout: on(logout), endSession: on(endSession),
    approvals: on(approvals), answerApproval: on(answerApproval), revokeApproval: on(revokeApproval),
    checkPolicy: on(checkPolicy), explainPolicy: on(explainPolicy),
    lock: on(lock), unlock: on(unlock), panic: on(panic), status: on(status), whoami: on(whoami), reload: on(reload), shutdown: on(shutdown), purge: on(purge),
    audit: on(audit), trace: on(trace),
    events: on(events),
    openapi: async () => (await openApiModule()).openApi(),
  };
}
