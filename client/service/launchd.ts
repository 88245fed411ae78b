/** Experimental: written after macOS's launchd.plist(5) and launchctl(1), and never run on macOS. One agent of this user, and launchctl. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ValetkeyError } from '../valetkey-error.ts';
import { marked } from './own-file.ts';
import { shipped } from './supervisor.ts';
import type { Site, Supervisor } from './supervisor.ts';
import { agentPlist } from './unit-text.ts';

const LABEL = 'dev.valetkey.agent';
const LAUNCHCTL = '/bin/launchctl';
const TAIL = '/usr/bin/tail';

export function launchd({ owner, paths, run }: Site, launchctl: string = LAUNCHCTL): Supervisor {
  const base = join(owner.home, 'Library/LaunchAgents');
  const file = join(base, `${LABEL}.plist`);
  const domain = `gui/${owner.uid}`;
  const control = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(launchctl, args);
    if (status === 0) return stdout;
    throw ValetkeyError.local('daemon_start_failed', `launchctl ${args.join(' ')} ended with ${status ?? 'a signal'}: ${stderr.trim()}`, { hint: 'Run: valetkey service logs' });
  };
  const isLoaded = async (): Promise<boolean> => (await run(launchctl, ['print', `${domain}/${LABEL}`])).status === 0;
  const unload = async (): Promise<void> => {
    if (await isLoaded()) await control('bootout', `${domain}/${LABEL}`);
  };
  return {
    name: 'launchd',
    base,
    packaged: null,
    isThere: () => existsSync(launchctl),
    demand() {
      if (!existsSync(launchctl)) throw ValetkeyError.local('service_unavailable', `there is no ${launchctl}, and nothing was written`);
    },
    files: (program) => [{ kind: 'text', path: file, text: marked(agentPlist(shipped(`launchd/${LABEL}.plist`), program, { socket: paths.socket, log: paths.logFile }), 'xml'), mode: 0o644 }],
    startedBy() {
      const [, words = ''] = /<key>ProgramArguments<\/key>\s*<array>([\s\S]*?)<\/array>/.exec(readFileSync(file, 'utf8')) ?? [];
      const found = [...words.matchAll(/<string>(.*?)<\/string>/g)].map(([, word = '']) => word);
      const [node, program] = [found[0], found.at(-1)];
      return node === undefined || program === undefined ? null : { node, program };
    },
    async start() {
      // launchd makes the socket, and no directory for it.
      mkdirSync(paths.runtimeDir, { recursive: true, mode: 0o700 });
      await unload();
      await control('bootstrap', domain, file);
    },
    stop: unload,
    forget: async () => undefined,
    async state() {
      const { status, stdout } = await run(launchctl, ['print', `${domain}/${LABEL}`]);
      if (status !== 0) return { listening: false, daemon: 'not loaded', says: null, restarts: null };
      const says = /^\s*state = (.+)$/m.exec(stdout)?.[1] ?? 'unknown';
      return { listening: true, daemon: says, says: null, restarts: null };
    },
    logs: (lines, follows) => ({ file: TAIL, args: ['-n', String(lines), ...(follows ? ['-F'] : []), paths.logFile] }),
  };
}
