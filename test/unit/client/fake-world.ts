/** A world for runCli: what was written, asked, opened and called is kept; the daemon is a table of answers. */
import type { Api } from '../../../client/api.ts';
import type { Opening } from '../../../client/browser.ts';
import { runCli } from '../../../client/cli.ts';
import type { Env, World } from '../../../client/command.ts';
import type { ApprovalsReply } from '../../../shared/approval-schemas.ts';
import { resolvePaths } from '../../../shared/paths.ts';
import type { ProfileView } from '../../../shared/profile-schemas.ts';
import type { BrokerEvent, GrantView, LoginView, StatusReply } from '../../../shared/schemas.ts';

export const NOW = 1_800_000_000;

export const grant: GrantView = {
  profile: 'work', issuer: 'https://login.example.com', client_id: 'cli', state: 'active', reason: null,
  subject: { sub: 'u1', name: 'Ada', email: 'ada@example.com' }, claims: { amr: ['pwd', 'otp'], acr: 'high' }, flow: 'authorization_code', scopes: ['openid', 'read'],
  resource: 'https://api.example.com', generation: 4, refreshable: true, signed_in_at: NOW - 7_200, refreshed_at: NOW - 60, refresh_token_expires_at: null, authorization_expires_at: null, session_ends_at: null, idle_ends_at: null,
  tokens: [{ scope: 'read', resource: 'https://api.example.com', expires_at: NOW + 1_800 }],
};

export const profile: ProfileView = {
  name: 'work', issuer: 'https://login.example.com', client_id: 'cli', preset: 'oidc', scopes: ['openid', 'read'], resource: 'https://api.example.com', flow: 'auto', tier: 'normal',
  browser: null, ca_file: null, proxy: null, fetch_origins: ['https://api.example.com'], fetch_methods: ['GET', 'HEAD'], fetch_headers: [], confidential: false, redirect_uris: ['http://127.0.0.1:{port}/callback'], signed_in: true, source: '/c/config.toml',
};

export const status: StatusReply = {
  version: '0.1.0', protocol: 1, pid: 4242, started_at: NOW - 600, started_by: 'valetkey token', socket: '/r/socket', state_dir: '/s',
  config: { file: '/c/config.toml', loaded_at: NOW - 600, profiles: 1 }, vault: { backend: 'keychain', state: 'open', detail: '' }, locked: false, locked_out_since: null, screen: 'not_asked',
  standings: [{ profile: 'work', state: 'signed_in', reason: null, session_ends_at: null, idle_ends_at: null, token_ends_at: NOW + 1_800 }],
  grants: [grant], logins: [], pending_revocations: 0, issuers: [], warnings: [], upgrade: null, environment: {},
};

export const noApprovals: ApprovalsReply = { pending: [], active: [], channels: { terminal: null, dialog: null, no_dialog_because: 'the screen is locked', notifications: false, pin: 'unknown' } };

export const login: LoginView = {
  id: 'AAAAAAAAAAAAAAAAAAAAAA', profile: 'work', state: 'pending', flow: 'authorization_code', reason: 'desktop', expires_at: NOW + 300, owned: true,
  issuer_host: 'login.example.com', scopes: ['openid', 'read'], machine: 'laptop', caller: 'valetkey (pid 7)', start_url: 'http://127.0.0.1:4711/start/NONCE', browser: null,
};

export const complete: LoginView = { ...login, state: 'complete', subject: { sub: 'u1', name: 'Ada', email: 'ada@example.com' } };

export type FakeApi = Partial<{ [K in keyof Api]: (...args: Parameters<Api[K]>) => Awaited<ReturnType<Api[K]>> | Promise<Awaited<ReturnType<Api[K]>>> }>;

export type Fakes = {
  readonly api?: FakeApi;
  readonly env?: Env;
  /** Standard input, output and error are terminals. */
  readonly terminal?: boolean;
  /** What a person types at /dev/tty, line by line; undefined: there is no terminal to ask at. */
  readonly person?: readonly string[];
  readonly stdin?: string;
  /** What `valetkey run` started ended with. */
  readonly programStatus?: number;
  readonly fetch?: World['link'] extends (options: never) => infer L ? L extends { fetch: infer F } ? F : never : never;
  readonly opening?: Opening;
  readonly signal?: AbortSignal;
  readonly base?: string;
  /** Throws where the daemon cannot be started. */
  readonly ensureDaemon?: () => boolean;
  readonly cwd?: () => string;
  /** What happens, at each connection anew; the last one ends the run. */
  readonly events?: (signal: AbortSignal) => Promise<AsyncIterable<BrokerEvent>>;
};

export type Run = {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What was shown at /dev/tty. */
  readonly shown: readonly string[];
  readonly questions: readonly { readonly question: string; readonly hidden: boolean }[];
  readonly opened: readonly { readonly url: string; readonly command: readonly string[] | null }[];
  readonly calls: readonly (readonly [string, ...unknown[]])[];
  /** Whether the daemon might have been started. */
  readonly mayStart: readonly boolean[];
};

export async function run(argv: readonly string[], fakes: Fakes = {}): Promise<Run> {
  const out = { stdout: '', stderr: '' };
  const shown: string[] = [];
  const questions: { question: string; hidden: boolean }[] = [];
  const opened: { url: string; command: readonly string[] | null }[] = [];
  const calls: [string, ...unknown[]][] = [];
  const mayStart: boolean[] = [];
  const answers = [...(fakes.person ?? [])];
  const base = fakes.base ?? '/nonexistent/valetkey-test';
  const api = new Proxy({}, {
    get: (_, name: string) => async (...args: unknown[]) => {
      calls.push([name, ...args.filter((argument) => !(argument instanceof AbortSignal) && argument !== undefined)]);
      // Asked at the edge of many verbs, where only its warnings and its vault matter.
      const answer = ({ status: () => status, ...fakes.api } as Record<string, ((...args: unknown[]) => unknown) | undefined>)[name];
      if (answer === undefined) throw new Error(`the fake daemon has no answer for ${name}`);
      return answer(...args);
    },
  }) as Api;
  const env = { TERM: 'xterm', NO_COLOR: '1', ...fakes.env };
  const owner = { uid: process.getuid?.() ?? 0, home: base };
  const isTTY = fakes.terminal === true;
  const world: World = {
    stdout: { write: (text) => { out.stdout += text; }, isTTY, columns: 80 },
    stderr: { write: (text) => { out.stderr += text; }, isTTY, columns: 80 },
    stdinIsTerminal: isTTY, env, cwd: fakes.cwd ?? (() => base), owner, now: () => NOW,
    paths: resolvePaths({ platform: 'linux', home: base, uid: owner.uid, env: { XDG_RUNTIME_DIR: `${base}/r`, XDG_STATE_HOME: `${base}/s`, XDG_CONFIG_HOME: `${base}/c` } }),
    signal: fakes.signal ?? new AbortController().signal,
    link: ({ startDaemon }) => {
      mayStart.push(startDaemon);
      return { api, ensureDaemon: async () => fakes.ensureDaemon?.() ?? startDaemon, events: fakes.events ?? (async () => { throw new Error('the fake daemon has no events'); }), fetch: fakes.fetch ?? (async () => { throw new Error('the fake daemon fetches nothing'); }), close: () => undefined };
    },
    meetPerson: () => (fakes.person === undefined ? null : {
      show: (lines) => void shown.push(...lines),
      ask: async (question, { hidden = false }) => {
        questions.push({ question, hidden });
        return answers.shift() ?? null;
      },
      close: () => undefined,
    }),
    openScreen: null,
    openBrowser: async (url, command) => {
      opened.push({ url, command });
      return fakes.opening ?? { kind: 'opened' };
    },
    runProgram: async (program) => {
      calls.push(['runProgram', program.file, program.argv, program.env]);
      return fakes.programStatus ?? 0;
    },
    writeAll: async (bytes) => {
      for await (const chunk of bytes) out.stdout += Buffer.from(chunk).toString('utf8');
    },
    readStdin: async () => fakes.stdin ?? '',
    async *stdinLines() {
      yield* (fakes.stdin ?? '').split('\n').filter((line) => line !== '');
    },
  };
  const exit = await runCli(argv, world);
  // Spinner frames are not text.
  return { exit, ...out, stderr: out.stderr.replace(/\r\u001b\[K[⠀-⣿][^\r]*/g, '').replaceAll('\r\u001b[K', ''), shown, questions, opened, calls, mayStart };
}
