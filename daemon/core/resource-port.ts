/** A request to an API with a token of ours, and its answer: what may leave here of either, and never the token. */
import type { IssuerConnection } from './domain.ts';
import type { Secret } from './secret.ts';

/** What of a profile says where and how its token may be used for others. */
export type FetchTerms = {
  /** As URL.origin spells them; none: nothing is fetched. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Besides those that always may be sent; lower case. */
  readonly headers: readonly string[];
  readonly allowPrivate: boolean;
};

export type ResourceRequest = {
  /** Of an origin that the profile names; checked by whoever asks. */
  readonly url: URL;
  readonly method: string;
  /** Lower case names, all of them allowed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  readonly token: Secret;
  readonly connection: IssuerConnection;
  /** Addresses of private networks may be spoken to. */
  readonly allowPrivate: boolean;
  readonly maxBytes: number;
};

export type ResourceAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** The address that was spoken to, or the proxy. */
  readonly address: string;
  /** What may go on to the caller; throws resource_answer_refused where the rest may not. Whoever stops reading ends the connection. */
  readonly chunks: AsyncIterable<Uint8Array>;
};

export type Resources = {
  /** Throws fetch_refused, resource_unreachable, resource_answer_refused; the signal's reason. The signal ends the answer as well. */
  fetchResource(request: ResourceRequest, signal: AbortSignal): Promise<ResourceAnswer>;
};
