/**
 * The shape of an authorization response (RFC 6749, section 4.1.2): a state, and either a code or an error; and that
 * of the return from a logout (RP-Initiated Logout 1.0, section 3): a state alone. What does not fit is nobody's answer and changes nothing. Pure.
 */
export type AuthorizationResponse = {
  readonly state: string;
  readonly iss: string | null;
  readonly parameters: URLSearchParams;
};

/** Null: not an authorization response. */
export function readAuthorizationResponse(query: string): AuthorizationResponse | null {
  const parameters = new URLSearchParams(query);
  // "Request and response parameters MUST NOT be included more than once" (RFC 6749, section 3.1).
  if (new Set(parameters.keys()).size !== [...parameters.keys()].length) return null;
  const state = parameters.get('state');
  if (state === null || state === '') return null;
  const code = parameters.get('code');
  const error = parameters.get('error');
  if ((code === null) === (error === null)) return null;
  if (code === '' || error === '') return null;
  return { state, iss: parameters.get('iss'), parameters };
}

/** Null: not the return from a logout. */
export function readLogoutReturn(query: string): AuthorizationResponse | null {
  const parameters = new URLSearchParams(query);
  const state = parameters.get('state');
  // A code or an error belongs to a sign-in, and two states to nobody.
  if (state === null || state === '' || parameters.getAll('state').length > 1 || parameters.has('code') || parameters.has('error')) return null;
  return { state, iss: null, parameters };
}
