/**
 * The daemon's methods, typed. Replies come from this user's own daemon, whose socket was verified and
 * whose protocol version was compared; they are not validated a second time, so that the library loads
 * no schema library, but for a token, which is put into headers. Paths and bodies are those of shared/methods.ts; a test compares them.
 */
import type { ActiveApproval, ApprovalAnswer, ApprovalAnswered, ApprovalAsk, ApprovalAsked, ApprovalGrant, ApprovalPinRequest, ApprovalsReply, RevokedApprovals } from '../shared/approval-schemas.ts';
import type { AuditReply, TraceReply } from '../shared/audit-schemas.ts';
import type { DiagnosisReply } from '../shared/diagnosis-schemas.ts';
import type { LoginExplanation, LoginQuestion } from '../shared/explain-schemas.ts';
import type { PolicyCheckReply, PolicyCheckRequest, PolicyExplainReply, PolicyExplainRequest } from '../shared/policy-schemas.ts';
import type { ProfileAddReply, ProfileAddRequest, ProfilesReply } from '../shared/profile-schemas.ts';
import type {
  EndSessionReply, EndSessionRequest, GrantsReply, LoginRequest, LoginView, LogoutReply, OkReply, PanicReply, PurgeReply, ReloadReply, StatusReply, TokenReply, TokenRequest, UnlockRequest, VaultView,
} from '../shared/schemas.ts';
import type { ResourceReply, ResourceRequest } from '../shared/resource-schemas.ts';
import type { PromptReply } from '../shared/standing-schemas.ts';
import type { UpgradeReply, UpgradeView } from '../shared/upgrade-schemas.ts';
import type { WhoamiReply } from '../shared/whoami-schemas.ts';
import type { WorkloadKeysReply, WorkloadKeysRequest, WorkloadRemoveReply, WorkloadsReply, WorkloadTokenReply, WorkloadTokenRequest } from '../shared/workload-schemas.ts';
import type { CallOptions, Connection } from './connection.ts';
import type { Verb } from './http-exchange.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** Milliseconds on top of the daemon's own limit, so that its answer wins over the client's deadline. */
const MARGIN_MS = 10_000;
const DEFAULT_WAIT_S = 30;
/** Of a request for a token that names no wait_s. */
export const TOKEN_TIMEOUT_MS = DEFAULT_WAIT_S * 1000 + MARGIN_MS;

/** What the status of a daemon of any protocol says, for who ends it or has it replaced (docs/protocol.md). */
export type AnyStatus = Pick<StatusReply, 'pid' | 'version'> & { readonly upgrade?: UpgradeView; readonly vault?: { readonly state: string } };

/** RFC 6749, appendix A.12. @throws ValetkeyError `protocol_mismatch`, `issuer_response_invalid` */
function bearing<T extends { readonly access_token: string }>(reply: T): T {
  const { access_token: token }: { readonly access_token?: unknown } = reply;
  if (typeof token !== 'string') throw ValetkeyError.local('protocol_mismatch', 'the reply holds no token');
  if (!/^[\x20-\x7e]+$/.test(token)) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
  return reply;
}

export type Api = ReturnType<typeof openApi>;

export function openApi(connection: Pick<Connection, 'call'>) {
  async function call<T>(verb: Verb, path: string, body: object | null, options?: CallOptions): Promise<T> {
    return await connection.call(verb, path, body, options) as T;
  }
  const name = encodeURIComponent;
  return {
    token: async (request: TokenRequest, signal?: AbortSignal) =>
      bearing(await call<TokenReply>('POST', '/v1/token', request, { signal, timeoutMs: request.wait_s === undefined ? TOKEN_TIMEOUT_MS : request.wait_s * 1000 + MARGIN_MS })),
    startLogin: (request: LoginRequest, signal?: AbortSignal) => call<LoginView>('POST', '/v1/logins', request, { signal, timeoutMs: 40_000 }),
    explainLogin: (request: LoginQuestion, signal?: AbortSignal) => call<LoginExplanation>('POST', '/v1/logins/explain', request, { signal, timeoutMs: 20_000 }),
    // A login ends with its daemon: another daemon is not started to be asked about it.
    login: (id: string, waitS: number, signal?: AbortSignal) =>
      call<LoginView>('GET', `/v1/logins/${name(id)}?wait_s=${waitS}`, null, { signal, timeoutMs: waitS * 1000 + MARGIN_MS, startDaemon: false }),
    cancelLogin: (id: string, signal?: AbortSignal) => call<OkReply>('DELETE', `/v1/logins/${name(id)}`, null, { signal, startDaemon: false }),
    confirmLogin: (id: string, accept: boolean, signal?: AbortSignal) => call<LoginView>('POST', `/v1/logins/${name(id)}/confirm`, { accept }, { signal, startDaemon: false }),
    profiles: (signal?: AbortSignal) => call<ProfilesReply>('GET', '/v1/profiles', null, { signal }),
    findResource: (request: ResourceRequest, signal?: AbortSignal) => call<ResourceReply>('POST', '/v1/resources', request, { signal, timeoutMs: 70_000 }),
    addProfile: (request: ProfileAddRequest, signal?: AbortSignal) => call<ProfileAddReply>('POST', '/v1/profiles', request, { signal, timeoutMs: 40_000 }),
    removeProfile: (profile: string, signal?: AbortSignal) => call<OkReply>('DELETE', `/v1/profiles/${name(profile)}`, null, { signal }),
    grants: (signal?: AbortSignal) => call<GrantsReply>('GET', '/v1/grants', null, { signal }),
    logout: (profile: string, signal?: AbortSignal) => call<LogoutReply>('DELETE', `/v1/grants/${name(profile)}`, null, { signal, timeoutMs: 50_000 }),
    endSession: (profile: string, request: EndSessionRequest, signal?: AbortSignal) => call<EndSessionReply>('POST', `/v1/grants/${name(profile)}/end-session`, request, { signal, timeoutMs: 40_000 }),
    // A question ends with its daemon: another daemon is not started to be asked about it.
    approvals: (signal?: AbortSignal) => call<ApprovalsReply>('GET', '/v1/approvals', null, { signal, startDaemon: false }),
    answerApproval: (id: string, answer: ApprovalAnswer, signal?: AbortSignal) => call<ApprovalAnswered>('POST', `/v1/approvals/${name(id)}`, answer, { signal, timeoutMs: 40_000, startDaemon: false }),
    askApproval: (request: ApprovalAsk, signal?: AbortSignal) => call<ApprovalAsked>('POST', '/v1/approvals/ask', request, { signal, timeoutMs: 340_000 }),
    grantApproval: (request: ApprovalGrant, signal?: AbortSignal) => call<ActiveApproval>('POST', '/v1/approvals', request, { signal, timeoutMs: 40_000 }),
    revokeApproval: (id: string, signal?: AbortSignal) => call<OkReply>('DELETE', `/v1/approvals/${name(id)}`, null, { signal, startDaemon: false }),
    revokeApprovals: (signal?: AbortSignal) => call<RevokedApprovals>('DELETE', '/v1/approvals', null, { signal, startDaemon: false }),
    setApprovalPin: (request: ApprovalPinRequest, signal?: AbortSignal) => call<OkReply>('POST', '/v1/approval-pin', request, { signal, timeoutMs: 40_000 }),
    checkPolicy: (request: PolicyCheckRequest, signal?: AbortSignal) => call<PolicyCheckReply>('POST', '/v1/policy/check', request, { signal }),
    explainPolicy: (request: PolicyExplainRequest, signal?: AbortSignal) => call<PolicyExplainReply>('POST', '/v1/policy/explain', request, { signal }),
    workloadToken: async (request: WorkloadTokenRequest, signal?: AbortSignal) =>
      bearing(await call<WorkloadTokenReply>('POST', '/v1/workload-tokens', request, { signal, timeoutMs: request.wait_s === undefined ? TOKEN_TIMEOUT_MS : request.wait_s * 1000 + MARGIN_MS })),
    workloads: (signal?: AbortSignal) => call<WorkloadsReply>('GET', '/v1/workloads', null, { signal }),
    changeWorkloadKeys: (profile: string, request: WorkloadKeysRequest, signal?: AbortSignal) => call<WorkloadKeysReply>('POST', `/v1/workloads/${name(profile)}/keys`, request, { signal, timeoutMs: 50_000 }),
    removeWorkload: (profile: string, signal?: AbortSignal) => call<WorkloadRemoveReply>('DELETE', `/v1/workloads/${name(profile)}`, null, { signal, timeoutMs: 50_000 }),
    lock: (signal?: AbortSignal) => call<VaultView>('POST', '/v1/lock', null, { signal }),
    unlock: (request: UnlockRequest, signal?: AbortSignal) => call<VaultView>('POST', '/v1/unlock', request, { signal }),
    panic: (signal?: AbortSignal) => call<PanicReply>('POST', '/v1/panic', null, { signal, timeoutMs: 25_000 }),
    status: (signal?: AbortSignal) => call<StatusReply>('GET', '/v1/status', null, { signal }),
    anyStatus: (signal?: AbortSignal) => call<AnyStatus>('GET', '/v1/status', null, { signal, startDaemon: false, anyProtocol: true }),
    prompt: (profile: string | null, signal?: AbortSignal) => call<PromptReply>('POST', '/v1/prompt', profile === null ? {} : { profile }, { signal }),
    diagnosis: (signal?: AbortSignal) => call<DiagnosisReply>('POST', '/v1/diagnosis', null, { signal, timeoutMs: 20_000, startDaemon: false }),
    whoami: (signal?: AbortSignal) => call<WhoamiReply>('GET', '/v1/whoami', null, { signal, timeoutMs: 20_000 }),
    reload: (signal?: AbortSignal) => call<ReloadReply>('POST', '/v1/reload', null, { signal }),
    shutdown: (signal?: AbortSignal) => call<OkReply>('POST', '/v1/shutdown', null, { signal, anyProtocol: true }),
    upgrade: (signal?: AbortSignal) => call<UpgradeReply>('POST', '/v1/upgrade', null, { signal, timeoutMs: 40_000, startDaemon: false, anyProtocol: true }),
    audit: (signal?: AbortSignal) => call<AuditReply>('GET', '/v1/audit', null, { signal }),
    trace: (token: string, signal?: AbortSignal) => call<TraceReply>('POST', '/v1/audit/trace', { token }, { signal }),
    purge: (signal?: AbortSignal) => call<PurgeReply>('POST', '/v1/purge', null, { signal, timeoutMs: 70_000 }),
  };
}
