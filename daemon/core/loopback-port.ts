/** The port of the one-login HTTP listener on loopback, and of its pages. */
import type { Secret } from './secret.ts';

export type LoopbackPage =
  | { readonly kind: 'success'; readonly subject: string | null; readonly profile: string; readonly caller: string }
  | { readonly kind: 'refused'; readonly profile: string; readonly title: string }
  | { readonly kind: 'wrong_account'; readonly subject: string | null; readonly profile: string }
  | { readonly kind: 'signed_out'; readonly profile: string }
  | { readonly kind: 'expired' };

/** Parameters of an authorization response that belongs to this login: state and iss hold. */
export type LoopbackCallback = { readonly parameters: URLSearchParams };

/** One login's listener: bound when this exists, closed by close(), by the signal, or after its page was delivered. */
export type LoopbackListener = {
  readonly port: number;
  readonly redirectUri: string;
  /** The one-time URL for the browser. */
  readonly startUrl: string;
  /** Says where /start redirects to, asked when it does, and what the callback must hold. Called once. `iss` is null for a logout, which comes back with its state alone. */
  arm(authorizationUrl: () => Promise<string>, state: Secret, iss: { readonly issuer: string; readonly required: boolean } | null): void;
  /** The first valid callback. Junk is answered and ignored. Rejects when closed before. */
  readonly callback: Promise<LoopbackCallback>;
  /** Resolves when the browser fetched /start: browser and listener share a path. */
  readonly started: Promise<void>;
  /** What the clean page shows; until then the browser waits, 5 s at most. */
  finish(page: LoopbackPage): void;
  close(): Promise<void>;
};

export type Loopback = {
  /** Binds 127.0.0.1, else ::1. Throws BrokerError loopback_exhausted. */
  open(options: { readonly ports: readonly number[]; readonly path: string; readonly uid: number }): Promise<LoopbackListener>;
};
