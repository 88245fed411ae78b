/**
 * The metadata that was sealed with a grant, looked at again once a day behind the back of a refresh that went
 * well: no request ever waits for it. What no refresh token is sent to may follow the issuer (its keys, its
 * pages); the endpoints that are part of the sign-in stay as they were pinned (AZ-06), and a person is told.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { AuthorizationServer, Grant, Profile } from '../core/domain.ts';
import type { Clock, ConfigStore, GrantBook, Issuer, Log } from '../core/ports.ts';

export type MetadataDeps = {
  readonly issuer: Pick<Issuer, 'discover'>;
  readonly book: Pick<GrantBook, 'get'>;
  readonly config: Pick<ConfigStore, 'current'>;
  readonly clock: Clock;
  readonly log: Log;
};

const EVERY_MS = 86_400_000;
const PINNED = ['issuer', 'tokenEndpoint', 'revocationEndpoint'] as const;

export class Metadata {
  readonly #deps: MetadataDeps;
  readonly #lookedMs = new Map<ProfileName, number>();
  readonly #latest = new Map<ProfileName, AuthorizationServer>();
  readonly #moved = new Set<ProfileName>();

  constructor(deps: MetadataDeps) {
    this.#deps = deps;
  }

  /** What is known of the grant's server by now; its next generation is sealed with it. */
  serverOf(grant: Grant): AuthorizationServer {
    const latest = this.#latest.get(grant.profile);
    return latest !== undefined && isPinned(latest, grant) ? latest : grant.server;
  }

  /** Profiles whose issuer names other endpoints by now than the sign-in is bound to. */
  moved(): readonly ProfileName[] {
    return [...this.#moved];
  }

  /** The issuer has just answered a refresh of this profile: it can be reached. */
  refreshed(name: ProfileName): void {
    const { clock, config, log } = this.#deps;
    const nowMs = clock.boottimeMs();
    const looked = this.#lookedMs.get(name);
    // The metadata of a sign-in of this run is young; that of an earlier one may be old.
    if (looked !== undefined && nowMs - looked < EVERY_MS) return;
    this.#lookedMs.set(name, nowMs);
    const profile = config.current().profiles.get(name);
    if (profile === undefined || profile.traits.metadata === 'none') return;
    this.#look(profile).catch((cause: unknown) => log.error('metadata_failed', { profile: name }, cause));
  }

  async #look(profile: Profile): Promise<void> {
    const { issuer, book, log } = this.#deps;
    const found = await issuer.discover(profile, { fresh: true });
    const grant = book.get(profile.name);
    if (grant === null || grant.digest !== profile.digest || grant.state.kind !== 'active') return;
    if (found.kind !== 'server') {
      log.info('metadata_not_renewed', { profile: profile.name, why: found.kind === 'transient' ? found.cause : found.code });
      return;
    }
    const { server } = found;
    if (!isPinned(server, grant)) {
      if (!this.#moved.has(profile.name)) log.warn('issuer_endpoints_moved', { profile: profile.name, issuer: grant.issuer });
      this.#moved.add(profile.name);
      return;
    }
    this.#moved.delete(profile.name);
    this.#latest.set(profile.name, server);
  }
}

/** A sign-in that came since may be bound elsewhere. */
function isPinned(server: AuthorizationServer, grant: Grant): boolean {
  return PINNED.every((name) => server[name] === grant.server[name]);
}
