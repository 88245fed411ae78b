/**
 * Starts valetkeyd on demand (PH-01). The daemon gets an environment from an allow-list, so that nothing
 * that could load code into it or weaken it (NODE_OPTIONS, LD_*, SSLKEYLOGFILE, …) comes along; a session
 * of its own, so that it outlives the terminal; and no open file of this process.
 *
 * Any number of processes may do this at once: the daemon's own lock lets one live, and those that lose
 * exit 0. What is waited for is therefore the socket, not the child.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { localOwner, localPaths } from './local-paths.ts';
import { socketGone } from './daemon-process.ts';
import { daemonProgram } from './daemon-program.ts';
import { findLiveSocket } from './find-socket.ts';
import { findUserUnit } from './user-unit.ts';
import type { UserUnit } from './user-unit.ts';
import { parseProblem, ValetkeyError } from './valetkey-error.ts';

/** From when nothing is on its way any more. */
const ANSWER_MS = 5_000;
/** One that is still loading is waited for: a machine at its login, or under fifty of these, is slow and not broken. */
const START_MS = 20_000;
/** Whoever held the lock should answer by now; if not, it was a daemon on its way out, and ours may live. */
const LOST_AGAIN_MS = 1_500;
const STDERR_MAX = 64 * 1024;
const PASSED_ON = ['LANG', 'LC_ALL', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'] as const;

export type StartOptions = {
  /** Who starts it; `valetkey status` shows it. */
  readonly label: string;
  /** The daemon's entry file. */
  readonly main?: string;
  /** The program that asks the user manager. */
  readonly systemctl?: string;
};

/** The whole environment of a daemon that is started on demand. */
export function daemonEnvironment(env: Readonly<Record<string, string | undefined>>, home: string, platform: string, label: string): Record<string, string> {
  const names = platform === 'darwin' ? [...PASSED_ON, 'TMPDIR'] : PASSED_ON;
  const kept = names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
  return {
    ...Object.fromEntries(kept),
    PATH: '/usr/bin:/bin',
    HOME: home,
    VALETKEY_STARTED_BY: label.replace(/[^\x20-\x7e]/g, '?').slice(0, 64),
  };
}

function launch(main: string, label: string, home: string, unit: UserUnit | null): ChildProcess {
  // Node 20 does not know this option and would refuse to start. Flags of V8 would have Node compile anew what it has compiled ahead.
  const hardening = process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? ['--disable-sigusr1'] : [];
  const [file, args] = unit === null ? [process.execPath, [...hardening, main]] as const : [unit.file, unit.args] as const;
  return spawn(file, args, {
    cwd: '/',
    detached: true,
    env: daemonEnvironment(process.env, home, process.platform, label),
    stdio: ['ignore', 'ignore', 'pipe'],
    windowsHide: true,
  });
}

/** The daemon says in one line of JSON why it did not start; other lines are its log. */
function problemIn(stderr: string): ValetkeyError | null {
  for (const line of stderr.split('\n').reverse()) {
    if (!line.startsWith('{')) continue;
    try {
      const problem = parseProblem(JSON.parse(line));
      if (problem !== null) return new ValetkeyError(problem);
    } catch {
      continue; // a line that the limit cut
    }
  }
  return null;
}

type Ending =
  | { readonly kind: 'running' }
  /** Another daemon held the lock. */
  | { readonly kind: 'lost'; readonly atMs: number }
  | { readonly kind: 'failed'; readonly error: ValetkeyError };

type Attempt = {
  ending(): Ending;
  /** What it has said so far of why it does not start. */
  problem(): ValetkeyError | null;
  /** Only for one that said so: it has failed and does not end. */
  kill(): void;
  letGo(): void;
};

function watch(child: ChildProcess, unit: UserUnit | null): Attempt {
  let stderr = '';
  let ending: Ending = { kind: 'running' };
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-STDERR_MAX);
  });
  child.once('error', (cause) => {
    ending = { kind: 'failed', error: ValetkeyError.local('daemon_start_failed', 'the daemon\'s program could not be run', { cause }) };
  });
  // 'close' comes after the last byte of stderr, 'exit' may come before it.
  child.once('close', (code, signal) => {
    ending = code === 0 ? { kind: 'lost', atMs: performance.now() } : {
      kind: 'failed',
      // What the daemon itself said is in the journal then.
      error: problemIn(stderr) ?? (unit === null
        ? ValetkeyError.local('daemon_start_failed', `the daemon ended with ${signal ?? `exit status ${code}`}`)
        : ValetkeyError.local('daemon_start_failed', `systemd did not start the daemon: ${stderr.split('\n')[0] ?? ''}`, { hint: 'Run: valetkey service logs' })),
    };
  });
  return {
    ending: () => ending,
    problem: () => problemIn(stderr),
    kill: () => void child.kill('SIGKILL'),
    letGo() {
      child.stderr?.destroy();
      child.unref();
    },
  };
}

/**
 * Starts the daemon unless one answers, and waits for it: 20 s while it is silently on its way, else 5 s.
 * @returns the path of the live socket.
 * @throws ValetkeyError what the daemon said, or `daemon_start_failed`
 */
export async function startDaemon(options: StartOptions): Promise<string> {
  const owner = localOwner();
  const paths = localPaths(owner);
  const main = options.main ?? daemonProgram();
  const unit = findUserUnit(owner, process.env, options.systemctl);
  const begin = () => watch(launch(main, options.label, owner.home, unit), unit);
  let attempt = begin();
  let hasLost = false;
  const begun = performance.now();
  let deadline = begun + ANSWER_MS;
  try {
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
      // systemd accepts on its socket before there is a daemon, and also where there will be none: its own word counts.
      const socket = unit !== null && attempt.ending().kind === 'running' ? null : await findLiveSocket(paths, owner.uid);
      if (socket !== null && attempt.ending().kind !== 'failed') return socket;
      const ending = attempt.ending();
      if (ending.kind === 'failed') throw ending.error;
      hasLost ||= ending.kind === 'lost';
      if (ending.kind === 'running' && !hasLost && attempt.problem() === null) deadline = Math.min(performance.now() + ANSWER_MS, begun + START_MS);
      if (performance.now() > deadline) {
        const said = attempt.problem();
        // That another holds the lock is no failure of the daemon, which ends with 0. That nobody answers is one of this command.
        const isOther = said?.code === 'already_running';
        hasLost ||= isOther;
        const problem = isOther ? null : said;
        // One that is only slow goes on, and the next command finds it.
        if (problem !== null) attempt.kill();
        throw problem ?? (hasLost ? socketGone(paths, owner.uid) : null) ?? ValetkeyError.local('daemon_start_failed', `the daemon did not answer within ${Math.round((performance.now() - begun) / 1000)} s`);
      }
      if (ending.kind === 'lost' && performance.now() - ending.atMs > LOST_AGAIN_MS) {
        attempt.letGo();
        attempt = begin();
      }
      await sleep(pauseMs);
    }
  } finally {
    attempt.letGo();
  }
}
