/**
 * The library `valetkey/client`: short-lived access tokens from this user's daemon. It loads node:http and a
 * few files of its own, and none of the daemon's dependencies.
 *
 * @example
 * ```ts
 * import { getToken, createFetch } from 'valetkey/client';
 *
 * const { access_token, expires_at } = await getToken('work', { min_ttl_s: 300 });
 * const fetch = createFetch('work');
 * const reply = await fetch('https://api.example.com/me');
 * ```
 */
import { connect } from './client.ts';
import type { Client } from './client.ts';

export { connect } from './client.ts';
export type { Cancellable, Client, FetchOptions, LoginOptions, TokenOptions } from './client.ts';
export type { ConnectionOptions } from './connection.ts';
export { ValetkeyError } from './valetkey-error.ts';
export type { ErrorCode, LoginReason } from '../shared/errors.ts';
export type {
  BrokerEvent, ConsentChallenge, GrantView, LoginView, LogoutReply, StatusReply, SubjectView, TokenReply, TokenRequest,
} from '../shared/schemas.ts';

let shared: Client | null = null;

/** The client of the functions below, made at their first use. */
function client(): Client {
  shared ??= connect();
  return shared;
}

/** {@inheritDoc Client.getToken} */
export const getToken: Client['getToken'] = (profile, options) => client().getToken(profile, options);
/** {@inheritDoc Client.login} */
export const login: Client['login'] = (profile, options) => client().login(profile, options);
/** {@inheritDoc Client.status} */
export const status: Client['status'] = (options) => client().status(options);
/** {@inheritDoc Client.logout} */
export const logout: Client['logout'] = (profile, options) => client().logout(profile, options);
/** {@inheritDoc Client.events} */
export const events: Client['events'] = (options) => client().events(options);
/** {@inheritDoc Client.createFetch} */
export const createFetch: Client['createFetch'] = (profile, options) => client().createFetch(profile, options);
