/** Facts about the caller's login session, which the chooser looks at: where is a person, and where a browser? */
export type SessionFacts = {
  readonly automation: string | null;
  readonly remote: boolean;
  readonly container: boolean;
  readonly wsl: { readonly interop: boolean } | null;
  readonly vdi: boolean;
  readonly sharedHost: boolean;
  /** A graphical session that is active and local; `inactive`: there is one that the caller is not in front of. */
  readonly gui: 'active' | 'inactive' | 'none';
  readonly browser: 'graphical' | 'none' | 'unknown';
  readonly tty: boolean;
  readonly serviceSession: boolean;
  /** An editor that forwards ports runs it, such as a dev container's. */
  readonly ide: boolean;
  /** The connection was passed on by ssh: these are the facts of ssh, and not of who asks. */
  readonly forwarded: boolean;
};
