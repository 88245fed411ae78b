/**
 * The methods of the API: one table for both ends. The daemon routes by it and generates openapi.json
 * from it; a test holds the routes equal to it.
 */
import * as v from 'valibot';
import * as approval from './approval-schemas.ts';
import * as a from './audit-schemas.ts';
import * as d from './diagnosis-schemas.ts';
import * as e from './explain-schemas.ts';
import * as f from './fetch-schemas.ts';
import * as q from './policy-schemas.ts';
import * as p from './profile-schemas.ts';
import * as r from './resource-schemas.ts';
import * as s from './schemas.ts';
import * as t from './standing-schemas.ts';
import * as u from './upgrade-schemas.ts';
import { whoamiReply } from './whoami-schemas.ts';
import * as w from './workload-schemas.ts';

export type Method = {
  readonly verb: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly summary: string;
  readonly request: v.GenericSchema | null;
  readonly reply: v.GenericSchema;
  /** Parameters behind the `?`, all optional; the schema is that of the number that the text stands for. */
  readonly query: Readonly<Record<string, v.GenericSchema>>;
  /** Milliseconds that the daemon takes at most, where the request names no wait of its own. */
  readonly timeoutMs: number;
};

const method = (verb: Method['verb'], path: string, summary: string, request: v.GenericSchema | null, reply: v.GenericSchema, timeoutMs = 10_000): Method => ({
  verb, path, summary, request, reply, timeoutMs, query: {},
});

export const METHODS = {
  token: method('POST', '/v1/token', 'An access token of a profile', s.tokenRequest, s.tokenReply, 330_000),
  fetch: method('POST', '/v1/fetch', 'What an API answers to a request that the daemon sends with the token', f.fetchRequest, v.string(), 660_000),
  startLogin: method('POST', '/v1/logins', 'Start a sign-in, or join the one in progress', s.loginRequest, s.loginView, 30_000),
  explainLogin: method('POST', '/v1/logins/explain', 'Which sign-in it would be, and what would change it', e.loginQuestion, e.loginExplanation),
  login: { ...method('GET', '/v1/logins/{id}', 'Follow a sign-in; ?wait_s= waits for a change of state', null, s.loginView, 330_000), query: { wait_s: s.loginWait } },
  cancelLogin: method('DELETE', '/v1/logins/{id}', 'Cancel a sign-in', null, s.okReply),
  confirmLogin: method('POST', '/v1/logins/{id}/confirm', 'Accept or refuse that another account signed in', s.confirmRequest, s.loginView),
  profiles: method('GET', '/v1/profiles', 'The profiles', null, p.profilesReply),
  findResource: method('POST', '/v1/resources', 'Find the issuer of a server behind OAuth, and a client for it', r.resourceRequest, r.resourceReply, 60_000),
  addProfile: method('POST', '/v1/profiles', 'Check a profile at its issuer and write it to the configuration', p.profileAddRequest, p.profileAddReply, 30_000),
  removeProfile: method('DELETE', '/v1/profiles/{profile}', 'Remove a profile from the configuration', null, s.okReply),
  grants: method('GET', '/v1/grants', 'The grants: claims and times, no tokens', null, s.grantsReply),
  logout: method('DELETE', '/v1/grants/{profile}', 'Forget the grant of a profile and revoke its tokens', null, s.logoutReply, 40_000),
  endSession: method('POST', '/v1/grants/{profile}/end-session', 'A link by which the browser is signed out at the issuer', s.endSessionRequest, s.endSessionReply, 30_000),
  checkPolicy: method('POST', '/v1/policy/check', 'Whether a text, or the files in their places, are a policy', q.policyCheckRequest, q.policyCheckReply),
  explainPolicy: method('POST', '/v1/policy/explain', 'Which rule decides on a request, and why not those before it', q.policyExplainRequest, q.policyExplainReply),
  approvals: method('GET', '/v1/approvals', 'Questions that wait for a person, and consents that were given', null, approval.approvalsReply),
  askApproval: method('POST', '/v1/approvals/ask', 'Have a person asked, without a token', approval.approvalAsk, approval.approvalAsked, 330_000),
  grantApproval: method('POST', '/v1/approvals', 'Agree to a program before it asks', approval.approvalGrant, approval.activeView, 30_000),
  answerApproval: method('POST', '/v1/approvals/{id}', 'Answer a question', approval.approvalAnswer, approval.approvalAnswered, 30_000),
  revokeApproval: method('DELETE', '/v1/approvals/{id}', 'Take a consent back', null, s.okReply),
  revokeApprovals: method('DELETE', '/v1/approvals', 'Take all consents back', null, approval.revokedApprovals),
  setApprovalPin: method('POST', '/v1/approval-pin', 'Set, change or remove the approval PIN', approval.approvalPinRequest, s.okReply, 30_000),
  workloadToken: method('POST', '/v1/workload-tokens', 'An access token of a workload, in its own name', w.workloadTokenRequest, w.workloadTokenReply, 330_000),
  workloads: method('GET', '/v1/workloads', 'The workloads: owners, keys, last use, and what to look at', null, w.workloadsReply),
  changeWorkloadKeys: method('POST', '/v1/workloads/{profile}/keys', 'Make, activate or retire a key of a workload', w.workloadKeysRequest, w.workloadKeysReply, 40_000),
  removeWorkload: method('DELETE', '/v1/workloads/{profile}', 'Revoke the tokens of a workload, and forget its keys and profile', null, w.workloadRemoveReply, 40_000),
  lock: method('POST', '/v1/lock', 'Stop issuing and forget the key', null, s.vaultView),
  unlock: method('POST', '/v1/unlock', 'Open the vault again', s.unlockRequest, s.vaultView),
  panic: method('POST', '/v1/panic', 'End every grant, revoke all tokens, and issue nothing until a person comes back', null, s.panicReply, 15_000),
  status: method('GET', '/v1/status', 'State of the daemon', null, s.statusReply),
  prompt: method('POST', '/v1/prompt', 'Who is signed in and how long yet, as words for a shell prompt', t.promptRequest, t.promptReply),
  diagnosis: method('POST', '/v1/diagnosis', 'Try the keychain and every issuer', null, d.diagnosisReply, 15_000),
  whoami: method('GET', '/v1/whoami', 'What the daemon sees of the process that asks', null, whoamiReply, 15_000),
  reload: method('POST', '/v1/reload', 'Read the configuration again', null, s.reloadReply),
  shutdown: method('POST', '/v1/shutdown', 'Finish what is on the wire, then exit', null, s.okReply),
  upgrade: method('POST', '/v1/upgrade', 'Let the installed build take over, once nothing would be lost', null, u.upgradeReply, 30_000),
  purge: method('POST', '/v1/purge', 'Revoke and erase all grants, secrets and keys', null, s.purgeReply, 60_000),
  audit: method('GET', '/v1/audit', 'State of the audit log, and its public key', null, a.auditReply),
  trace: method('POST', '/v1/audit/trace', 'The name of a token in the audit log', a.traceRequest, a.traceReply),
  events: method('GET', '/v1/events', 'What happens, as server-sent events', null, s.brokerEvent),
  metrics: method('GET', '/v1/metrics', 'Counters and gauges as Prometheus text', null, v.string()),
  openapi: method('GET', '/v1/openapi.json', 'This description', null, v.record(v.string(), v.unknown())),
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof METHODS;
