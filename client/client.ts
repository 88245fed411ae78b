import type { BrokerEvent, ConsentChallenge, LoginRequest, LoginView, LogoutReply, StatusReply, TokenReply, TokenRequest } from '../shared/schemas.ts';
import { openApi } from './api.ts';
import { bindFetch, parseOrigins, tokenOrigin } from './bound-fetch.ts';
import { openConnection } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type Cancellable = {
  /** Aborting rejects with the signal's reason. A refresh that is on the wire goes on in the daemon. */
  readonly signal?: AbortSignal;
};

export type TokenOptions = Cancellable & Omit<TokenRequest, 'profile'>;

export type LoginOptions = Cancellable & Omit<LoginRequest, 'profile' | 'consent'> & {
  /**
   * Opens the one-time link (`http://127.0.0.1:PORT/start/…`) in a browser on this machine. Default: the
   * profile's browser command, else the system's default browser.
   */
  readonly openBrowser?: (startUrl: string, login: LoginView) => void | Promise<void>;
  /** Device flow: shows the challenge at the terminal and resolves to the code that the person typed. Default: nobody agrees. */
  readonly askConsent?: (challenge: ConsentChallenge) => Promise<string | null>;
  /** Device flow: shows `login.device`. Default: the device flow is cancelled, since nobody could see the code. */
  readonly showDevice?: (login: LoginView) => void | Promise<void>;
  /** Another account signed in than before. Default: refuse. */
  readonly confirmSubject?: (login: LoginView) => Promise<boolean>;
};

export type FetchOptions = Omit<TokenRequest, 'profile' | 'force' | 'challenge'> & Pick<LoginOptions, 'openBrowser'> & {
  /**
   * Origins that may see the token, e.g. `https://api.example.com`. Default: the origin of `resource`, else
   * of the profile's resource.
   */
  readonly origins?: readonly string[];
};

/** A connection to this user's daemon. */
export type Client = {
  /**
   * An access token, from the daemon's cache or by a refresh.
   *
   * @param profile - name of a profile, or a whole request as `POST /v1/token` takes it.
   * @returns `access_token` with `expires_at` in seconds since 1970-01-01 UTC.
   * @throws ValetkeyError `login_required` (`login` can be joined), `unknown_profile`, `scope_not_granted`,
   *   `vault_locked`, `issuer_unreachable`, `min_ttl_unmet`, `deadline_exceeded` and those of every call.
   */
  getToken(profile: string | TokenRequest, options?: TokenOptions): Promise<TokenReply>;
  /**
   * Signs a person in: authorization code with PKCE (RFC 7636) on a loopback listener of the daemon, or the
   * device flow (RFC 8628) where policy allows it. Resolves when somebody has signed in, at most after 5 minutes.
   *
   * @returns the completed login with its `subject`.
   * @throws ValetkeyError `access_denied`, `flow_timeout`, `flow_refused`, `consent_required`,
   *   `subject_mismatch`, `browser_failed` and those of every call.
   */
  login(profile: string, options?: LoginOptions): Promise<LoginView>;
  /** State of the daemon, its vault, grants and logins. */
  status(options?: Cancellable): Promise<StatusReply>;
  /**
   * Forgets the grant of a profile and revokes its tokens at the issuer (RFC 7009).
   *
   * @returns what became of each token; `until` (seconds since 1970-01-01 UTC) where one lives on.
   */
  logout(profile: string, options?: Cancellable): Promise<LogoutReply>;
  /**
   * What happens in the daemon, from now on. Ends when the daemon stops; leaving the loop closes the connection.
   *
   * @throws ValetkeyError and, in the loop, the signal's reason.
   */
  events(options?: Cancellable): AsyncGenerator<BrokerEvent, void, undefined>;
  /**
   * A fetch that adds `Authorization: Bearer` (RFC 6750) to requests to the profile's resource and to nothing
   * else. On 401 it asks once for a newer token and sends the request again. Redirects to another origin go on
   * without the token. Where the resource asks for a stronger or fresher sign-in (RFC 9470) and `interaction` is
   * `allowed`, the person is asked to sign in, at most twice, and the request is sent again. The body of a `Request` is read into memory first, since it may be sent twice; a stream
   * given as `body` is sent once, and its 401 is returned.
   */
  createFetch(profile: string, options?: FetchOptions): typeof globalThis.fetch;
  /** Closes idle connections. The client can be used again. */
  close(): void;
};

async function openSystemBrowser(startUrl: string, login: LoginView): Promise<void> {
  const { openBrowser } = await import('./browser.ts');
  const opening = await openBrowser(startUrl, login.browser ?? null, process.env);
  if (opening.kind === 'failed') throw ValetkeyError.local('browser_failed', opening.why);
}

function unreachableBrowser(): never {
  throw ValetkeyError.local('flow_refused', 'this is an SSH session, and the browser is on another machine', { hint: 'Run in a terminal: valetkey login PROFILE' });
}

function undisplayable(): never {
  throw ValetkeyError.local('flow_refused', 'the device flow needs showDevice, to show the code to the person');
}

/**
 * @param options - `socket` names another socket than the one that is found; no environment variable does.
 * @throws ValetkeyError `platform_unsupported` if the user database does not know this user.
 */
export function connect(options: ConnectionOptions = {}): Client {
  const connection = openConnection(options);
  const api = openApi(connection);

  const client: Client = {
    async getToken(profile, { signal, ...wanted } = {}) {
      const request: unknown = typeof profile === 'string' ? { profile } : profile;
      // Programs without types come here too, and a number would be sent as no profile at all.
      if (typeof request !== 'object' || request === null || Array.isArray(request)) {
        throw ValetkeyError.local('bad_request', 'getToken takes the name of a profile, or a request as POST /v1/token does', { hint: 'Call: getToken(\'PROFILE\')' });
      }
      return api.token({ ...request, ...wanted }, signal);
    },
    async login(profile, { signal, openBrowser, askConsent, showDevice, confirmSubject, ...wanted } = {}) {
      const { signIn } = await import('./sign-in.ts');
      const screen = {
        openBrowser: (login: LoginView, startUrl: string) => (openBrowser ?? openSystemBrowser)(startUrl, login),
        askConsent: askConsent ?? (async () => null),
        // Whoever gave an opener is told of the tunnel in `login`.
        showTunnel: (login: LoginView, startUrl: string) => (openBrowser ?? unreachableBrowser)(startUrl, login),
        leftAlone: () => undefined,
        showDevice: showDevice ?? undisplayable,
        confirmSubject: confirmSubject ?? (async () => false),
        joined: () => undefined,
        waiting: () => undefined,
      };
      return signIn(api, { profile, ...wanted }, screen, signal ?? new AbortController().signal);
    },
    async status({ signal } = {}) {
      return api.status(signal);
    },
    async logout(profile, { signal } = {}) {
      return api.logout(profile, signal);
    },
    async *events({ signal } = {}) {
      const { readEvents } = await import('./event-stream.ts');
      const left = new AbortController();
      const response = await connection.stream('/v1/events', signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]));
      try {
        yield* readEvents(response.setEncoding('utf8'));
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        throw error;
      } finally {
        left.abort();
      }
    },
    createFetch(profile, { origins, openBrowser, ...wanted } = {}) {
      const named = origins === undefined ? null : parseOrigins(origins);
      let allowed: ReadonlySet<string> | null = named ?? (wanted.resource === undefined ? null : parseOrigins([wanted.resource]));
      const ask = async (force: boolean, signal: AbortSignal | null) =>
        (await client.getToken(profile, { ...wanted, force, ...(signal === null ? {} : { signal }) })).access_token;
      return bindFetch({
        async origins(signal) {
          allowed ??= await profileOrigins(profile, signal);
          return allowed;
        },
        async token(refused, signal) {
          const token = await ask(false, signal);
          // Another caller may have had it refreshed since: a forced refresh each would be a storm.
          return token === refused ? ask(true, signal) : token;
        },
        async stepUp(challenge, refused, budget, signal) {
          if (wanted.interaction !== 'allowed') return null;
          const { stepUp } = await import('./step-up.ts');
          const abort = signal === null ? {} : { signal };
          // The resource's own words say what these would say; the sign-in is started by login().
          const { acr_values: _acr, max_age_s: _age, interaction: _interaction, ...rest } = wanted;
          const { access_token } = await stepUp({
            ask: () => client.getToken(profile, { ...rest, challenge, ...abort }),
            signIn: () => client.login(profile, { challenge, ...(rest.scopes === undefined ? {} : { scopes: rest.scopes }), ...(openBrowser === undefined ? {} : { openBrowser }), ...abort }),
          }, refused, budget);
          return access_token;
        },
      }, globalThis.fetch);
    },
    close() {
      connection.close();
    },
  };

  async function profileOrigins(profile: string, signal: AbortSignal | null): Promise<ReadonlySet<string>> {
    const { profiles } = await api.profiles(signal ?? undefined);
    const found = profiles.find(({ name }) => name === profile);
    if (found === undefined) throw ValetkeyError.local('unknown_profile', `there is no profile ${profile}`);
    const origin = found.resource === null ? null : tokenOrigin(found.resource);
    if (origin === null) {
      throw ValetkeyError.local('bad_request', `the resource of profile ${profile} does not tell an origin`, { hint: 'Give createFetch the option origins' });
    }
    return new Set([origin]);
  }

  return client;
}
