/** The verbs, and the file of each. A file is loaded only when its verb is called: `token` is on hot paths. */
import type { Declare } from './command.ts';

export type Verb = {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly declare: Declare }>;
};

export const VERBS: readonly Verb[] = [
  { name: 'login', summary: 'Sign in: opens the browser, or shows a code where policy allows the device flow', load: () => import('./commands/login.ts') },
  { name: 'token', summary: 'Print an access token', load: () => import('./commands/token.ts') },
  { name: 'fetch', summary: 'Ask an API with a token that stays in the daemon', load: () => import('./commands/fetch.ts') },
  { name: 'run', summary: 'Run a program with access tokens in its environment', load: () => import('./commands/run.ts') },
  { name: 'credential', summary: 'Give tools their token by their own protocol: git, kubectl, docker, AWS, pip, pnpm, cargo, curl', load: () => import('./commands/credential.ts') },
  { name: 'setup', summary: 'Write the lines by which a tool asks Valetkey: git, docker, podman, kubectl, AWS, pip, uv, pnpm, cargo', load: () => import('./commands/setup.ts') },
  { name: 'mcp', summary: 'Reach MCP servers behind OAuth from hosts that start programs', load: () => import('./commands/mcp.ts') },
  { name: 'logout', summary: 'Forget a grant, and revoke its tokens at the issuer', load: () => import('./commands/logout.ts') },
  { name: 'status', summary: 'Show who is signed in and until when, the daemon and its vault', load: () => import('./commands/status.ts') },
  { name: 'watch', summary: 'Watch sign-ins, tokens, refusals and questions as they happen', load: () => import('./commands/watch.ts') },
  { name: 'grants', summary: 'Show who is signed in, where and until when; no tokens', load: () => import('./commands/grants.ts') },
  { name: 'whoami', summary: 'Show what the daemon sees of the program that asks, for rules about callers', load: () => import('./commands/whoami.ts') },
  { name: 'profiles', summary: 'List the profiles', load: () => import('./commands/profiles.ts') },
  { name: 'profile', summary: 'Add, show, choose or remove a profile', load: () => import('./commands/profile.ts') },
  { name: 'workload', summary: 'Tokens for programs in their own name: keys, tokens, owners', load: () => import('./commands/workload.ts') },
  { name: 'approvals', summary: 'Show what waits for your word, and what you agreed to', load: () => import('./commands/approvals.ts') },
  { name: 'approve', summary: 'Agree, or refuse, that a program uses a profile', load: () => import('./commands/approve.ts') },
  { name: 'policy', summary: 'Check, explain, test or learn who may have which token', load: () => import('./commands/policy.ts') },
  { name: 'lock', summary: 'Stop handing out tokens until unlock', load: () => import('./commands/lock.ts') },
  { name: 'unlock', summary: 'Open the vault again', load: () => import('./commands/unlock.ts') },
  { name: 'panic', summary: 'End everything at once: revoke all tokens, and hand out none until you come back', load: () => import('./commands/panic.ts') },
  { name: 'daemon', summary: 'Start, stop, reload or look at the daemon', load: () => import('./commands/daemon.ts') },
  { name: 'service', summary: 'Let systemd or launchd keep the daemon: install, remove, look at it', load: () => import('./commands/service.ts') },
  { name: 'audit', summary: 'Read, prove and export the audit log, and trace a token', load: () => import('./commands/audit.ts') },
  { name: 'inventory', summary: 'List all grants, who uses them, and those that nobody uses', load: () => import('./commands/inventory.ts') },
  { name: 'doctor', summary: 'Look for what is wrong on this machine, and say how to mend it', load: () => import('./commands/doctor.ts') },
  { name: 'adopt', summary: 'Find tokens that other tools left in plain text, and move a tool off them', load: () => import('./commands/adopt.ts') },
  { name: 'purge', summary: 'Revoke and erase everything of this user', load: () => import('./commands/purge.ts') },
  { name: 'completion', summary: 'Print a completion script for a shell', load: () => import('./commands/completion.ts') },
];
