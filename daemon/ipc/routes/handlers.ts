import { later } from '../../core/later.ts';
import type { Handler, Handlers } from '../dispatch.ts';
import { answerApproval, approvals, revokeApproval } from './approvals.ts';
import type { Broker } from './broker.ts';
import { audit, trace } from './audit.ts';
import { lock, purge, reload, shutdown, status, unlock } from './daemon.ts';
import { events } from './events.ts';
import { grants, logout } from './grants.ts';
import { cancelLogin, confirmLogin, login, startLogin } from './logins.ts';
import { checkPolicy, explainPolicy } from './policy.ts';
import { addProfile, profiles, removeProfile } from './profiles.ts';
import { token } from './token.ts';
import { whoami } from './whoami.ts';
import { workloadToken } from './workload-token.ts';
import { changeWorkloadKeys, removeWorkload, workloads } from './workloads.ts';

const openApiModule = later(() => import('../openapi.ts'));

/** A handler for each method of shared/methods.ts. */
export function createHandlers(broker: Broker): Handlers {
  const on = (handler: (broker: Broker, ask: Parameters<Handler>[0]) => unknown): Handler => (ask) => handler(broker, ask);
  return {
    token: on(token),
    startLogin: on(startLogin), login: on(login), cancelLogin: on(cancelLogin), confirmLogin: on(confirmLogin),
    profiles: on(profiles), addProfile: on(addProfile), removeProfile: on(removeProfile),
    grants: on(grants), logout: on(logout),
    approvals: on(approvals), answerApproval: on(answerApproval), revokeApproval: on(revokeApproval),
    checkPolicy: on(checkPolicy), explainPolicy: on(explainPolicy),
    workloadToken: on(workloadToken), workloads: on(workloads), changeWorkloadKeys: on(changeWorkloadKeys), removeWorkload: on(removeWorkload),
    lock: on(lock), unlock: on(unlock), status: on(status), whoami: on(whoami), reload: on(reload), shutdown: on(shutdown), purge: on(purge),
    audit: on(audit), trace: on(trace),
    events: on(events),
    openapi: async () => (await openApiModule()).openApi(),
  };
}
