/**
 * Who may vouch for a workload, as data: what its assertions have to say besides the audience, by the documents of
 * each. A profile may narrow it further; docs/workloads.md has a recipe for each.
 */
import type { AssertionKind } from '../core/workload.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export const ASSERTION_KINDS: ReadonlyMap<string, AssertionKind> = new Map<string, AssertionKind>([
  ['jwt', { type: JWT_BEARER, issuer: null, subjectPrefix: null }],
  // Each cluster has an issuer of its own: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
  ['kubernetes', { type: JWT_BEARER, issuer: null, subjectPrefix: 'system:serviceaccount:' }],
  // https://docs.github.com/actions/reference/security/oidc: the subject may be customised, the issuer is one.
  ['github', { type: JWT_BEARER, issuer: 'https://token.actions.githubusercontent.com', subjectPrefix: null }],
  // JWT-SVID, section 3.1: the subject is the SPIFFE ID; draft-ietf-oauth-spiffe-client-auth-02, section 3.
  ['spiffe', { type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe', issuer: null, subjectPrefix: 'spiffe://' }],
]);

export const DEFAULT_ASSERTION_KIND = 'jwt';
