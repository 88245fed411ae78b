/**
 * One thing that the doctor looked at: what it is, why it matters, and the one command that mends it or shows more.
 * The ids are for programs and never change their meaning; docs/doctor.md lists them, and a test compares the two.
 */
export const GROUPS = ['Files', 'Daemon', 'Issuers', 'Machine'] as const;
export type Group = (typeof GROUPS)[number];

/** By the group under which a person finds it. */
export const FINDINGS = {
  runtime_directory: 'Files',
  socket: 'Files',
  socket_path: 'Files',
  state_directory: 'Files',
  config_file: 'Files',
  disk: 'Files',
  synced_folder: 'Files',
  unit_file: 'Files',
  plain_text_tokens: 'Files',
  daemon: 'Daemon',
  version: 'Daemon',
  node: 'Daemon',
  config: 'Daemon',
  policy: 'Daemon',
  hooks: 'Daemon',
  vault: 'Daemon',
  keychain: 'Daemon',
  approvals: 'Daemon',
  approval_pin: 'Daemon',
  daemon_warning: 'Daemon',
  issuer: 'Issuers',
  issuer_dns: 'Issuers',
  issuer_unreachable: 'Issuers',
  issuer_timeout: 'Issuers',
  issuer_ca: 'Issuers',
  issuer_proxy: 'Issuers',
  issuer_metadata: 'Issuers',
  flow: 'Issuers',
  environment_proxy: 'Issuers',
  environment_ca: 'Issuers',
  clock: 'Machine',
  ptrace: 'Machine',
  memory_access: 'Machine',
  core_dumps: 'Machine',
  launcher: 'Machine',
} as const satisfies Readonly<Record<string, Group>>;

export type FindingId = keyof typeof FINDINGS;

export type Finding = {
  readonly id: FindingId;
  readonly level: 'ok' | 'warning' | 'error';
  readonly what: string;
  /** Why it matters; empty where all is well. */
  readonly why: string;
  /** To be pasted into a shell; null where all is well. */
  readonly command: string | null;
  /** What the command alone does not say: a sentence of the daemon; a line for the configuration, on a line of its own. */
  readonly advice: string | null;
};

export function ok(id: FindingId, what: string, advice: string | null = null): Finding {
  return { id, level: 'ok', what, why: '', command: null, advice };
}

export function warning(id: FindingId, what: string, why: string, command: string, advice: string | null = null): Finding {
  return { id, level: 'warning', what, why, command, advice };
}

export function failure(id: FindingId, what: string, why: string, command: string, advice: string | null = null): Finding {
  return { id, level: 'error', what, why, command, advice };
}

/** A word of a command, so that it can be pasted whatever is in it. */
export function word(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}

/** Opens a file in the person's editor. */
export function edit(file: string): string {
  return `"\${EDITOR:-vi}" ${word(file)}`;
}
