/** One daemon follows another without a moment in which nobody listens, or two own the same grants. */

/** Listening sockets as descriptors, so that one can outlive the daemon that made it. */
export type Listeners = {
  /** One at a path where nothing is, for this user alone. Throws runtime_dir_untrusted. */
  make(path: string): number;
  /** Another descriptor of the same socket. */
  copy(fd: number): number;
  close(fd: number): void;
};

/** Descriptors for the successor. */
export type HandOver = {
  readonly listener: number;
  /** A supervisor holds the listener as well. */
  readonly isHeld: boolean;
  readonly lock: number;
  /** The data key of a vault with a passphrase; null: it has none, or is not open. */
  readonly key: number | null;
};

/** A child that has loaded everything, and waits. */
export type Successor = {
  readonly pid: number;
  readonly program: string;
  /** From here on it is the owner. Resolves when it serves; throws BrokerError upgrade_failed when it is gone, and then this process is the owner again. */
  takeOver(mustOpen: boolean): Promise<void>;
  /** Resolves when it is gone. */
  abandon(): Promise<void>;
};

/** How the daemon ended. */
export type Ending =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'followed'; readonly successor: Successor; readonly listener: number; readonly isHeld: boolean; readonly mustOpen: boolean };

export type Successors = {
  /** Starts the program that was recorded; null where none was, or nothing can be left to it on this system. Throws BrokerError upgrade_failed. */
  start(listener: { readonly fd: number; readonly isHeld: boolean }): Promise<Successor | null>;
  /** Names the descriptors that would be handed over now: where it changes, a child that was started before has others. */
  readonly key: number | null;
  /** Why the last try came to nothing; null: it did not, or there was none. */
  readonly failed: string | null;
};
