/**
 * Opens the one-time link of a sign-in in this person's browser (LB-09): an argv array without a shell,
 * only for the literal loopback address, with an environment from which everything was taken that could
 * load code into the browser or hand it this process's secrets.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ValetkeyError } from './valetkey-error.ts';

const DROPPED = /^(?:NODE_|LD_|DYLD_|VALETKEY_|npm_|ELECTRON_|BASH_ENV$|ENV$|SHELLOPTS$|BASHOPTS$|PERL5|PYTHON|RUBYOPT$|SSLKEYLOGFILE$|GCONV_PATH$)/i;
const SECRET = /TOKEN|SECRET|PASSWORD|PASSPHRASE|PRIVATE_KEY|API_?KEY|CREDENTIAL/i;
/** An opener that fails does so at once; one that still runs by then has opened something, or is the browser. */
const OPENER_FAILS_WITHIN_MS = 1_500;

export type Opening = { readonly kind: 'opened' } | { readonly kind: 'failed'; readonly why: string };

/**
 * @returns the link as it is handed to the opener, re-serialised.
 * @throws ValetkeyError `browser_failed` for everything but http://127.0.0.1:PORT/… and http://[::1]:PORT/…
 */
export function checkStartUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const loopback = url !== null && url.protocol === 'http:' && (url.hostname === '127.0.0.1' || url.hostname === '[::1]')
    && url.port !== '' && url.username === '' && url.password === '';
  if (!loopback) throw ValetkeyError.local('browser_failed', 'the link of the sign-in is not on the loopback address; it was not opened');
  return url.href;
}

/** `{url}` in any word stands for the link; without one it is the last word. */
export function browserArgv(command: readonly string[], url: string): readonly string[] {
  const named = command.some((word) => word.includes('{url}'));
  return named ? command.map((word) => word.replaceAll('{url}', () => url)) : [...command, url];
}

export function browserEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !DROPPED.test(name) && !SECRET.test(name)));
}

/** The system's opener, in a process of its own: it then has the clean environment too, and its failure is seen. */
function systemOpener(): readonly string[] {
  return [process.execPath, fileURLToPath(new URL('./open-link.js', import.meta.url))];
}

/**
 * @param command - the profile's browser command; null is the system's default.
 * @param env - environment of the asking process, before cleaning.
 * @param signal - nobody waits for the answer any more; the browser stays open.
 */
export async function openBrowser(startUrl: string, command: readonly string[] | null, env: Readonly<Record<string, string | undefined>>, signal?: AbortSignal): Promise<Opening> {
  const [file, ...args] = browserArgv(command ?? systemOpener(), checkStartUrl(startUrl));
  if (file === undefined) return { kind: 'failed', why: 'the browser command is empty' };
  return new Promise((resolve) => {
    const child = spawn(file, args, { detached: true, stdio: 'ignore', env: browserEnvironment(env), shell: false, windowsHide: true });
    const timer = setTimeout(() => settle({ kind: 'opened' }), OPENER_FAILS_WITHIN_MS);
    const leave = () => settle({ kind: 'opened' });
    const settle = (opening: Opening) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
      child.unref();
      resolve(opening);
    };
    signal?.addEventListener('abort', leave, { once: true });
    child.once('error', (error) => settle({ kind: 'failed', why: error.message }));
    child.once('exit', (code, signal) => settle(code === 0 ? { kind: 'opened' } : { kind: 'failed', why: `${file} ended with ${signal ?? `exit status ${code}`}` }));
  });
}
