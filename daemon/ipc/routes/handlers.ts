import { later } from '../../core/later.ts';
import type { Handler, Handlers } from '../dispatch.ts';
import { answerApproval, approvals, grantApproval, revokeApproval, revokeApprovals, setApprovalPin } from './approvals.ts';
import { askApproval } from './ask-approval.ts';
import type { Broker } from './broker.ts';
import { audit, trace } from './audit.ts';
import { counted } from './counted.ts';
import { joinedDiagnosis } from './diagnosis.ts';
import { lock, panic, purge, reload, shutdown, status, unlock, upgrade } from './daemon.ts';
import { explainLogin } from './explain-login.ts';
import { fromHereOnly } from './elsewhere.ts';
import { Fetches, fetchResource } from './fetch.ts';
import { events } from './events.ts';
import { endSession, grants, logout } from './grants.ts';
import { cancelLogin, confirmLogin, login, startLogin } from './logins.ts';
import { metrics } from './metrics.ts';
import { checkPolicy, explainPolicy } from './policy.ts';
import { addProfile, profiles, removeProfile } from './profiles.ts';
import { prompt } from './standings.ts';
import { findResource } from './resources.ts';
import { token } from './token.ts';
import { whoami } from './whoami.ts';
import { workloadToken } from './workload-token.ts';
import { changeWorkloadKeys, removeWorkload, workloads } from './workloads.ts';

const openApiModule = later(() => import('../openapi.ts'));

/** A handler for each method of shared/methods.ts. */
export function createHandlers(broker: Broker): Handlers {
  const on = (handler: (broker: Broker, ask: Parameters<Handler>[0]) => unknown): Handler => (ask) => handler(broker, ask);
  const here = (handler: Parameters<typeof on>[0]): Handler => fromHereOnly(on(handler));
  const fetches = new Fetches();
  return {
    token: counted(broker, 'tokens', on(token)),
    fetch: (ask) => fetchResource(fetches, broker, ask),
    startLogin: on(startLogin), explainLogin: on(explainLogin), login: on(login), cancelLogin: on(cancelLogin), confirmLogin: on(confirmLogin),
    profiles: on(profiles), addProfile: here(addProfile), findResource: here(findResource), removeProfile: here(removeProfile),
    grants: on(grants), logout: on(logout), endSession: on(endSession),
    approvals: on(approvals), askApproval: on(askApproval), answerApproval: on(answerApproval), grantApproval: here(grantApproval), revokeApproval: here(revokeApproval),
    revokeApprovals: here(revokeApprovals), setApprovalPin: here(setApprovalPin),
    checkPolicy: on(checkPolicy), explainPolicy: on(explainPolicy),
    workloadToken: counted(broker, 'workloadTokens', on(workloadToken)), workloads: on(workloads), changeWorkloadKeys: here(changeWorkloadKeys), removeWorkload: here(removeWorkload),
    lock: on(lock), unlock: here(unlock), panic: on(panic), status: on(status), prompt: on(prompt), diagnosis: here(joinedDiagnosis()), whoami: on(whoami), reload: here(reload), shutdown: here(shutdown), upgrade: here(upgrade), purge: here(purge),
    audit: on(audit), trace: on(trace),
    events: on(events), metrics: on(metrics),
    openapi: async () => (await openApiModule()).openApi(),
  };
}
