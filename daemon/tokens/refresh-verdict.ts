/**
 * What an issuer's refusal of a refresh means, as a pure function. Only what is said of the refresh token
 * itself ends the grant; what is said of this one request, or asks for the person, leaves it alone.
 */
import type { ErrorCode, LoginReason } from '../../shared/errors.ts';
import type { Scope } from '../../shared/names.ts';
import type { Grant } from '../core/domain.ts';
import type { Rejected } from '../core/ports.ts';

export type RefreshWant = { readonly scopes: readonly Scope[] | null; readonly resource: string | null };

export type Verdict =
  | { readonly kind: 'park'; readonly reason: LoginReason }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly reason: LoginReason | null };

/** OIDC Core, section 3.1.2.6; Entra sends them from the token endpoint too. */
const WANTS_THE_PERSON = ['interaction_required', 'login_required', 'consent_required', 'account_selection_required'];
/** Of invalid_grant, where it speaks of the token after all. */
const OF_THE_TOKEN = ['bad_token', 'token_expired'];

/** Names that RFC 6749 does not know for a dead refresh token: GitHub, Slack, Ory, Spring and UAA. */
const DEAD = ['bad_refresh_token', 'invalid_refresh_token', 'token_inactive', 'invalid_token'];
/**
 * Where invalid_grant was meant, only the text tells. Seen: "The refresh token is invalid." (league/oauth2-server 7),
 * `Invalid "refresh_token" in request.` (Authlib), "Value passed for the token was invalid." (X), "refresh_token is
 * invalid" (Atlassian, which says unauthorized_client).
 */
const MISNAMED = ['invalid_request', 'unauthorized_client'];
const OF_A_DEAD_TOKEN = [
  /refresh[ _-]?token\b[^.]{0,30}\b(?:invalid|expired|revoked|inactive|unknown|not found)\b/i,
  /\b(?:invalid|expired|revoked|inactive|unknown)\b[^.]{0,10}\brefresh[ _-]?token\b/i,
  /^value passed for the token was invalid/i,
];
/** Said of a request that lacks something, which says nothing of the token. */
const OF_THE_REQUEST = /\b(?:missing|required|parameter|malformed)\b/i;

export function judge(rejected: Rejected, grant: Grant, want: RefreshWant): Verdict {
  const { oauthError, subError, code, description } = rejected;
  if (code === 'id_token_invalid') return { kind: 'park', reason: 'identity_changed' }; // ID-03
  const asksAsSignedIn = want.scopes === null && want.resource === grant.resource;
  if (oauthError === 'invalid_grant') {
    // Google: the organisation's limit for one session.
    if (subError === 'invalid_rapt') return { kind: 'park', reason: 'session_limit' };
    // Entra says invalid_grant with suberror consent_required of a resource that nobody consented to: one
    // caller's odd wish must not end the sign-in of all.
    if (asksAsSignedIn || subError === null || OF_THE_TOKEN.includes(subError)) return { kind: 'park', reason: 'revoked_or_reused' }; // TK-06
    return refused('resource_not_granted', `${grant.issuer} does not grant this to this sign-in (${subError})`);
  }
  if (oauthError !== null && WANTS_THE_PERSON.includes(oauthError)) {
    return { kind: 'refused', code: 'login_required', message: description, reason: 'interaction_required' };
  }
  if (oauthError !== null && DEAD.includes(oauthError)) return { kind: 'park', reason: 'revoked_or_reused' }; // TK-06
  if (oauthError !== null && asksAsSignedIn && MISNAMED.includes(oauthError)) {
    const isDead = OF_A_DEAD_TOKEN.some((words) => words.test(description)) && !OF_THE_REQUEST.test(description);
    if (isDead) return { kind: 'park', reason: 'revoked_or_reused' }; // TK-06
    // The same request was granted before. Some servers call every refusal this, so a sign-in is the way on; the
    // grant stays, as it may be the server that is wrong.
    if (oauthError === 'invalid_request') return { kind: 'refused', code: 'login_required', message: description, reason: 'revoked_or_reused' };
  }
  if (oauthError === 'invalid_scope') return refused('scope_not_granted', `${grant.issuer} does not grant these scopes to this sign-in`); // RFC 6749, section 6
  if (oauthError === 'invalid_target') return refused('resource_not_granted', `${grant.issuer} does not grant this resource to this sign-in`); // RFC 8707, section 2
  return refused(code, `${grant.issuer} refused the refresh${oauthError === null ? '' : ` (${oauthError})`}: ${description}`);
}

function refused(code: ErrorCode, message: string): Verdict {
  return { kind: 'refused', code, message, reason: null };
}
