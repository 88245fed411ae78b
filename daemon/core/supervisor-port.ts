/** What starts the daemon and outlives it, systemd or launchd: what it holds for the daemon, and what it is told. */

/** The data key in the hands of the supervisor, for the daemon that comes after this one; never on a disk. Where nobody keeps it nothing happens. */
export type KeptKey = {
  /** A copy, for the caller to zero; null where there is none. */
  take(): Buffer | null;
  keep(key: Uint8Array): void;
  /** Out of every hand at once, whoever holds the descriptor. */
  drop(): void;
};

/** What started the daemon, and is told how it does. */
export type Supervisor = {
  /** The listening socket that was made for the daemon, as a descriptor; null: the daemon makes its own. */
  readonly listener: number | null;
  /** Somebody else holds that socket as well, and it stays when the daemon ends. */
  readonly holdsListener: boolean;
  /** It ends a daemon that says nothing for so long; null: it does not. */
  readonly watchdogMs: number | null;
  ready(): void;
  /** One line, for people. */
  status(line: string): void;
  reloading(): void;
  stopping(): void;
  /** From now on that process is the daemon. */
  followedBy(pid: number): void;
  alive(): void;
};
