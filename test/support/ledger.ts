/**
 * The issuer's own ledger, read as a prosecutor would: which refresh tokens were spent, whether one was ever
 * used again, and which are still alive. Nothing here asks the daemon.
 */
import type { EmbeddedIssuer } from '../../demo/issuer.ts';

export class Ledger {
  readonly #issuer: EmbeddedIssuer;
  readonly #dead = new Set<string>();
  #mark = 0;

  constructor(issuer: EmbeddedIssuer) {
    this.#issuer = issuer;
  }

  /** From here on the counts of `consumed` and `asked` begin anew. */
  mark(): void {
    this.#mark = this.#issuer.requests.length;
  }

  /** Refreshes since the mark that the issuer answered with success. */
  consumed(): number {
    return this.#refreshes(this.#mark).filter(({ status }) => status === 200).length;
  }

  /** What came to the token endpoint since the mark, in short. */
  story(): string {
    return this.#issuer.requests.slice(this.#mark).filter(({ endpoint }) => endpoint === 'token')
      .map(({ status, params }) => `${String(params['grant_type'])} ${String(params['refresh_token'] ?? '').slice(0, 6)} = ${String(status)}`).join(', ');
  }

  /** Requests to the token endpoint since the mark. */
  asked(): number {
    return this.#issuer.requests.slice(this.#mark).filter(({ endpoint }) => endpoint === 'token').length;
  }

  /** All refreshes ever answered with success. */
  refreshes(): number {
    return this.#refreshes(0).filter(({ status }) => status === 200).length;
  }

  /** Uses of a refresh token after the issuer had answered with success to the same one. */
  reuses(): number {
    const spent = new Set<unknown>();
    let reuses = 0;
    for (const { status, params } of this.#refreshes(0)) {
      if (spent.has(params['refresh_token'])) reuses += 1;
      if (status === 200) spent.add(params['refresh_token']);
    }
    return reuses;
  }

  /** Whole families that ended without anybody asking for it: the issuer's stolen-token alarm. */
  alarms(): number {
    const ended = this.#issuer.events.filter(({ name }) => name === 'grant.revoked').length;
    const asked = this.#issuer.requests.filter(({ endpoint }) => endpoint === 'revocation').length;
    return Math.max(0, ended - asked);
  }

  /** Refresh tokens that a thief could use now, but for those that are accounted for. What is dead stays dead. */
  async alive(known: ReadonlySet<string | null>): Promise<readonly string[]> {
    const minted = this.#issuer.minted.filter(({ kind, value }) => kind === 'refresh_token' && !known.has(value) && !this.#dead.has(value));
    for (const { value } of minted) if (!(await this.#issuer.introspect(value)).active) this.#dead.add(value);
    return minted.map(({ value }) => value).filter((value) => !this.#dead.has(value));
  }

  #refreshes(from: number): EmbeddedIssuer['requests'] {
    return this.#issuer.requests.slice(from).filter(({ endpoint, params }) => endpoint === 'token' && params['grant_type'] === 'refresh_token');
  }
}
