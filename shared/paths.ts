/**
 * Where things are, as a pure function of the platform and the environment, so that daemon and clients
 * find the same places. Nothing is ever under /tmp or another shared directory.
 */
export type PathInputs = {
  readonly platform: string;
  /** Home directory from the user database, never from $HOME of a stranger. */
  readonly home: string;
  readonly uid: number;
  /** Only the XDG_* and, on macOS, TMPDIR variables are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
};

export type Paths = {
  /** 0700; holds the socket. */
  readonly runtimeDir: string;
  readonly socket: string;
  /** Where `ssh -R`, or a container, puts the socket of another machine's broker. */
  readonly forwardedSocket: string;
  /** 0700; holds grants/, audit/, lock and logs. */
  readonly stateDir: string;
  readonly grantsDir: string;
  readonly auditDir: string;
  /** flock'd by the one daemon; records the live socket's path, pid, version and build. */
  readonly lockFile: string;
  readonly logFile: string;
  /** What `valetkey service install` set up: the one program that the daemon may put in its own place. Read by the daemon only. */
  readonly serviceFile: string;
  readonly configDir: string;
  readonly configFile: string;
  readonly policyFile: string;
  readonly hooksFile: string;
};

/** Bytes that fit into sun_path with its NUL on every supported system (macOS has 104). */
export const SOCKET_PATH_MAX = 103;

/** The XDG Base Directory specification: a relative path in a variable is invalid and is ignored. */
function absolute(value: string | undefined): string | null {
  return value !== undefined && value.startsWith('/') ? value.replace(/\/+$/, '') || '/' : null;
}

export function resolvePaths({ platform, home, env }: PathInputs): Paths {
  const state = `${absolute(env['XDG_STATE_HOME']) ?? `${home}/.local/state`}/valetkey`;
  const config = `${absolute(env['XDG_CONFIG_HOME']) ?? `${home}/.config`}/valetkey`;
  const base = platform === 'darwin' ? absolute(env['TMPDIR']) : absolute(env['XDG_RUNTIME_DIR']);
  const runtimeDir = base === null ? `${state}/run` : `${base}/valetkey`;
  return {
    runtimeDir,
    socket: platform === 'win32' ? `\\\\.\\pipe\\valetkey-${home.replace(/[^A-Za-z0-9]/g, '-')}` : `${runtimeDir}/socket`,
    forwardedSocket: `${runtimeDir}/forwarded`,
    stateDir: state,
    grantsDir: `${state}/grants`,
    auditDir: `${state}/audit`,
    lockFile: `${state}/lock`,
    logFile: `${state}/valetkeyd.log`,
    serviceFile: `${state}/service.json`,
    configDir: config,
    configFile: `${config}/config.toml`,
    policyFile: `${config}/policy.toml`,
    hooksFile: `${config}/hooks.toml`,
  };
}
