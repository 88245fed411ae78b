/**
 * One login's conversation with one browser: /start/NONCE, the callback, the clean page. It holds
 *  L1 the one-time link leads one browser of this user to the issuer, once;
 *  L2 the callback is taken once, with the right state, from this user's same browser, from the right issuer;
 *  L3 whatever else comes is answered and changes nothing;
 *  L4 nothing of a request is ever shown; the code leaves the address bar before any page is.
 * Node runs one handler at a time: between a check and its claim there is no await.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BrokerError } from '../core/errors.ts';
import type { LoopbackCallback, LoopbackListener, LoopbackPage } from '../core/loopback-port.ts';
import type { Log, Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { sendPage, sendRedirect, sendRefusal } from './answer.ts';
import { readAuthorizationResponse, readLogoutReturn } from './authorization-response.ts';
import type { Bound } from './bind.ts';
import { readCookie } from './cookie.ts';
import { deferred } from './deferred.ts';
import { headerValues, refuseRequest } from './gate.ts';
import { issHolds } from './iss.ts';
import type { ExpectedIssuer } from './iss.ts';
import { renderPage } from './pages/render.ts';
import type { RenderedPage } from './pages/render.ts';
import type { RefusalReason } from './refusals.ts';
import { LATE, within } from './within.ts';

export type Endpoint = { readonly address: string; readonly port: number };
export type LoopbackDeps = {
  readonly random: Random;
  readonly log: Log;
  /** The user who owns the client's end of a TCP connection; null where the system does not tell. */
  readonly ownerOf: (client: Endpoint, server: Endpoint) => Promise<number | null>;
  /** Somebody held a secret of this login and was refused all the same: for the audit. */
  readonly onRefused: (event: { readonly reason: string; readonly uid: number | null }) => void;
};
type Armed = { readonly authorizationUrl: () => Promise<string>; readonly state: Secret; readonly iss: ExpectedIssuer | null };

/** A pushed authorization request takes a round trip or two before the browser can be sent on. */
const ARM_WAIT_MS = 5_000;
/** The port is closed 5 s after the callback: this long for the daemon to finish, the rest to fetch the page. */
const FINISH_WAIT_MS = 4_250;
const DELIVERY_WAIT_MS = 750;
/** The audit gets an example, not a flood. */
const MAX_REPORTS = 16;

export class LoginListener implements LoopbackListener {
  readonly port: number;
  readonly redirectUri: string;
  readonly startUrl: string;
  readonly callback: Promise<LoopbackCallback>;
  readonly started: Promise<void>;

  readonly #deps: LoopbackDeps;
  readonly #uid: number;
  readonly #stop: () => Promise<void>;
  readonly #authority: string;
  readonly #path: string;
  readonly #startPath: Secret;
  readonly #donePath: Secret;
  readonly #doneUrl: string;
  readonly #cookieName: string;
  readonly #armed = deferred<Armed>();
  readonly #started = deferred<void>();
  readonly #callback = deferred<LoopbackCallback>();
  readonly #page = deferred<RenderedPage>();
  readonly #delivered = deferred<void>();
  readonly #refusals = new Map<RefusalReason, number>();
  /** Known from arm() on. */
  #expected: Armed | null = null;
  /** Known from /start on: the link is used up. */
  #cookie: Secret | null = null;
  #isTaken = false;
  #reports = 0;
  #closing: Promise<void> | null = null;

  /** @param stop - closes the port and ends all connections; what was written still goes out. */
  constructor(deps: LoopbackDeps, bound: Bound, login: { readonly path: string; readonly uid: number }, stop: () => Promise<void>) {
    const { origin, host } = new URL(`http://${bound.address === '::1' ? '[::1]' : bound.address}:${bound.port}`);
    const startPath = `/start/${deps.random.token(32)}`;
    // Below the callback, so that one cookie path covers both.
    const donePath = `${login.path === '/' ? '' : login.path}/done/${deps.random.token(16)}`;
    this.#deps = deps;
    this.#uid = login.uid;
    this.#stop = stop;
    this.#authority = host;
    this.#path = login.path;
    this.#startPath = new Secret(startPath);
    this.#donePath = new Secret(donePath);
    this.#doneUrl = `${origin}${donePath}`;
    this.#cookieName = `__valetkey_${deps.random.token(12)}`;
    this.port = bound.port;
    this.redirectUri = `${origin}${login.path}`;
    this.startUrl = `${origin}${startPath}`;
    this.started = this.#started.promise;
    this.callback = this.#callback.promise;
    // A login may be closed before anybody waits for its callback; that is no unhandled rejection.
    this.callback.catch(() => undefined);
  }

  arm(authorizationUrl: () => Promise<string>, state: Secret, iss: ExpectedIssuer | null): void {
    if (this.#expected !== null) throw new Error('a login listener is armed once');
    this.#expected = { authorizationUrl, state, iss };
    this.#armed.resolve(this.#expected);
  }

  /** The first page stands. */
  finish(page: LoopbackPage): void {
    this.#page.resolve(renderPage(page));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Answers one request; never rejects on anything that a peer may send. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // It was turned away meanwhile: what it asked must not happen behind its back.
    if (!request.socket.writable) return;
    const target = request.url ?? '';
    const refused = refuseRequest({ method: request.method ?? '', target, rawHeaders: request.rawHeaders }, this.#authority);
    if (refused !== null) return this.#refuse(response, refused);

    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    // As it came, unnormalised: the redirect URI is compared exactly (RFC 8252, section 8.10).
    if (path === this.#path) return this.#takeCallback(request, response, mark === -1 ? '' : target.slice(mark + 1));
    if (this.#startPath.equals(target)) return this.#start(request, response);
    if (this.#donePath.equals(target)) return this.#showPage(request, response);
    return this.#refuse(response, 'not_found');
  }

  count(reason: RefusalReason): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
  }

  async #start(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#cookie !== null) return this.#refuse(response, 'not_found');
    const refused = await this.#refuseOwner(request);
    if (refused !== null) return this.#refuse(response, refused);
    const armed = await within(ARM_WAIT_MS, Promise.race([this.#page.promise, this.#armed.promise]));
    if (armed === LATE) return this.#refuse(response, 'not_ready');
    // The login ended while the browser waited.
    if ('html' in armed) return sendPage(response, armed.status, armed.html);

    const location = await within(ARM_WAIT_MS, this.#whereTo(armed));
    if (location === LATE || location === null) return this.#refuse(response, 'not_ready');

    // A browser that went away has not used the link; two that waited share one.
    if (!request.socket.writable) return;
    if (this.#cookie !== null) return this.#refuse(response, 'not_found');
    const value = this.#deps.random.token(32);
    this.#cookie = new Secret(value);
    // Lax: it comes with the issuer's top-level redirect, and would not with a form_post.
    const cookie = `${this.#cookieName}=${value}; Path=${this.#path}; Max-Age=300; HttpOnly; SameSite=Lax`;
    sendRedirect(response, 302, location, { 'Set-Cookie': cookie });
    this.#started.resolve();
  }

  /** Null: the request could not be made anew, which ends the login. */
  async #whereTo({ authorizationUrl }: Armed): Promise<string | null> {
    try {
      return new URL(await authorizationUrl()).href;
    } catch (cause) {
      this.#callback.reject(cause instanceof Error ? cause : new Error('the authorization request could not be made anew', { cause }));
      return null;
    }
  }

  async #takeCallback(request: IncomingMessage, response: ServerResponse, query: string): Promise<void> {
    const expected = this.#expected;
    const answer = expected?.iss === null ? readLogoutReturn(query) : readAuthorizationResponse(query);
    if (answer === null) return this.#refuse(response, 'bad_response');
    if (expected === null || !expected.state.equals(answer.state)) return this.#refuse(response, 'unknown_state');
    const refused = (await this.#refuseOwner(request)) ?? this.#refuseBrowser(request);
    if (refused !== null) return this.#refuse(response, refused);
    if (this.#isTaken || this.#closing !== null) return this.#refuse(response, 'used');

    this.#isTaken = true;
    sendRedirect(response, 303, this.#doneUrl);
    if (expected.iss === null || issHolds(answer.iss, expected.iss)) {
      this.#callback.resolve({ parameters: answer.parameters });
    } else {
      // RFC 9207, section 2.4: the response is rejected, whatever it holds, and with it this login: its state
      // and code are in the hands of another server.
      this.#page.resolve(renderPage({ kind: 'iss_mismatch' }));
      this.#callback.reject(new BrokerError('iss_mismatch',
        `The sign-in was sent to ${expected.iss.issuer}, but the answer ${answer.iss === null ? 'names no issuer' : 'names another issuer'}`));
    }
    await within(FINISH_WAIT_MS, this.#delivered.promise);
    await this.close();
  }

  async #showPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isTaken) return this.#refuse(response, 'not_found');
    const refused = this.#refuseBrowser(request);
    if (refused !== null) return this.#refuse(response, refused);
    const page = await this.#page.promise;
    // A browser that went away may come back for it, until the port closes.
    if (!request.socket.writable) return;
    response.once('finish', () => this.#delivered.resolve());
    sendPage(response, page.status, page.html, {
      'Set-Cookie': `${this.#cookieName}=; Path=${this.#path}; Max-Age=0; HttpOnly; SameSite=Lax`,
    });
  }

  async #close(): Promise<void> {
    this.#callback.reject(new BrokerError('login_cancelled', 'The sign-in was ended before the browser came back'));
    // Whoever waits for a page gets this one, unless finish() said another.
    this.#page.resolve(renderPage({ kind: this.#isTaken ? 'still_finishing' : 'expired' }));
    if (this.#isTaken) await within(DELIVERY_WAIT_MS, this.#delivered.promise);
    // The handlers that waited for the page write it in this turn.
    await nextTurn();
    await this.#stop();
    const refused = [...this.#refusals.values()].reduce((sum, count) => sum + count, 0);
    this.#deps.log.info('loopback_closed', {
      port: this.port, taken: this.#isTaken, refused, reasons: [...this.#refusals].map(([reason, count]) => `${reason}=${count}`),
    });
  }

  /** Another user of the machine could read the link from a process list, or hold a stolen answer. */
  async #refuseOwner(request: IncomingMessage): Promise<RefusalReason | null> {
    const uid = await this.#ownerOf(request);
    if (uid === this.#uid) return null;
    const reason = uid === null ? 'owner_unknown' : 'other_user';
    this.#report(reason, uid);
    return reason;
  }

  async #ownerOf({ socket }: IncomingMessage): Promise<number | null> {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined || localPort === undefined) return null;
    try {
      return await this.#deps.ownerOf({ address: remoteAddress, port: remotePort }, { address: localAddress, port: localPort });
    } catch (error) {
      this.#deps.log.error('loopback_owner_unknown', { port: this.port }, error);
      return null;
    }
  }

  #refuseBrowser(request: IncomingMessage): RefusalReason | null {
    const value = readCookie(headerValues(request.rawHeaders, 'cookie'), this.#cookieName);
    if (value !== null && this.#cookie?.equals(value) === true) return null;
    this.#report('other_browser', this.#uid);
    return 'other_browser';
  }

  #report(reason: string, uid: number | null): void {
    this.#reports += 1;
    if (this.#reports <= MAX_REPORTS) this.#deps.onRefused({ reason, uid });
  }

  #refuse(response: ServerResponse, reason: RefusalReason): void {
    this.count(reason);
    sendRefusal(response, reason);
  }
}
