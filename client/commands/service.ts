import { existsSync } from 'node:fs';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { livingDaemon } from '../daemon-process.ts';
import { createRunner, follow } from '../service/run-program.ts';
import { install, report, supervisorOf, uninstall } from '../service/service.ts';
import type { ServiceReport } from '../service/service.ts';
import type { Supervisor } from '../service/supervisor.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { stopDaemon, warnOfMemory } from './daemon.ts';

const LINES = 100;
const LINES_MAX = 100_000;

function supervisorFor({ owner, paths, env, signal }: CommandContext): Supervisor {
  return supervisorOf(process.platform, { owner, paths, env, run: createRunner(env, signal) });
}

/** Two daemons cannot serve: the one that was started on demand finishes what it does, and ends. */
async function giveWay(context: CommandContext): Promise<void> {
  if (livingDaemon(context.paths, context.owner.uid) === null) return;
  await warnOfMemory(context);
  if (await stopDaemon(context)) context.terminal.note('The daemon that ran has stopped; the service takes its place.');
}

async function installService(context: CommandContext): Promise<void> {
  const { terminal, paths, daemon: { api }, signal } = context;
  const supervisor = supervisorFor(context);
  const state = supervisor.isThere() ? await supervisor.state() : null;
  const done = await install(supervisor, paths.serviceFile, paths.stateDir, async () => {
    if (state?.listening !== true) await giveWay(context);
  });
  for (const warning of done.warnings) terminal.warn(warning);
  for (const path of done.written) terminal.note(`Wrote ${path}`);
  // Whoever asks starts it: then it is proved, and not only written.
  const { pid, version } = await api.status(signal);
  if (terminal.json) return terminal.document({ ...done, pid, version });
  terminal.note(`${done.written.length === 0 ? 'It was installed already. ' : ''}${done.supervisor} starts the daemon when it is needed; it runs now, pid ${pid}.`);
  terminal.note('To undo this: valetkey service uninstall');
}

async function uninstallService(context: CommandContext): Promise<void> {
  const { terminal, paths } = context;
  const supervisor = supervisorFor(context);
  await warnOfMemory(context);
  const done = await uninstall(supervisor, paths.serviceFile);
  if (terminal.json) return terminal.document(done);
  for (const path of done.removed) terminal.note(`Removed ${path}`);
  if (done.removed.length === 0) terminal.note('The service is not installed.');
  else terminal.note('The daemon is started on demand from now on; sign-ins and configuration stay.');
  if (supervisor.packaged !== null) terminal.note(`${supervisor.packaged.file} belongs to a package, and stays.`);
}

const WORDS: Readonly<Record<ServiceReport['files'][number]['state'], string>> = {
  absent: 'is missing', ours: '', older: 'is of an earlier installation; run: valetkey service install', edited: 'was changed by hand', foreign: 'was not written by valetkey service install',
};

async function showService(context: CommandContext): Promise<void> {
  const { terminal, paths, owner } = context;
  const found = await report(supervisorFor(context));
  const daemon = livingDaemon(paths, owner.uid);
  if (terminal.json) return terminal.document({ ...found, pid: daemon?.pid ?? null });
  const { state } = found;
  const isPart = found.files.some(({ state: file }) => file !== 'absent');
  terminal.facts([
    ['Service', found.installed ? `installed, for ${found.supervisor}` : isPart ? 'installed in part; run: valetkey service install' : 'not installed; to install it: valetkey service install'],
    ...found.files.filter(({ state: file }) => isPart || file !== 'absent').map(({ path, state: file }) => ['File', `${path}${WORDS[file] === '' ? '' : `, which ${WORDS[file]}`}`] as const),
    ...(found.packaged === null ? [] : [['Package', found.packaged] as const]),
    ...(found.program === null ? [] : [['Starts', `${found.node ?? ''} ${found.program}`] as const]),
    ['Socket', state === null ? `nobody can be asked: no ${found.supervisor} of this user runs in this session` : state.listening ? `${paths.socket}, held by ${found.supervisor}` : 'not held: the daemon makes its own'],
    ['Daemon', `${daemon === null ? 'does not run' : `pid ${daemon.pid}, ${daemon.version}`}${state === null ? '' : `; ${found.supervisor} says ${state.daemon}`}${(state?.restarts ?? 0) > 0 ? `, restarted ${state?.restarts ?? 0} times` : ''}`],
    ...(state === null || state.says === null ? [] : [['Says', state.says] as const]),
  ]);
  for (const path of found.missing) terminal.warn(`${path} is gone, so the service does not start; run: valetkey service install`);
}

async function showLogs(context: CommandContext, lines: number, follows: boolean): Promise<void> {
  const { terminal, paths, env, signal } = context;
  const supervisor = supervisorFor(context);
  const found = await report(supervisor);
  // A daemon that a client started writes to a file.
  const ofService = found.installed ? supervisor.logs(lines, follows) : { file: '/usr/bin/tail', args: ['-n', String(lines), ...(follows ? ['-F'] : []), paths.logFile] };
  if (!found.installed && !existsSync(paths.logFile)) throw ValetkeyError.local('not_found', `there is no log yet: the service is not installed, and ${paths.logFile} is not there`, { hint: 'Run: valetkey daemon start' });
  if (!existsSync(ofService.file)) throw ValetkeyError.local('service_unavailable', `there is no ${ofService.file}, which reads the log`, { hint: 'Run: valetkey service status' });
  const kept: string[] = [];
  const status = await follow(ofService.file, ofService.args, env, (line) => void (terminal.json ? kept.push(line) : terminal.line(line)), signal);
  if (terminal.json) terminal.document({ lines: kept });
  if (status !== 0 && !signal.aborted) throw ValetkeyError.local('service_unavailable', `${ofService.file} ended with ${status ?? 'a signal'}`, { hint: 'Run: valetkey service status' });
}

function lineCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > LINES_MAX) throw ValetkeyError.local('bad_request', `--lines takes a number up to ${LINES_MAX}`);
  return value;
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey service install', 'valetkey service status', 'valetkey service logs --follow', 'valetkey service uninstall'));
  command.command('install').description('Let systemd (on macOS launchd, experimental) hold the socket and start the daemon')
    .addHelpText('after', examples('valetkey service install')).action(async () => installService(context));
  command.command('uninstall').description('Undo that; sign-ins and configuration stay')
    .addHelpText('after', examples('valetkey service uninstall')).action(async () => uninstallService(context));
  command.command('status').description('Show what is installed and what runs; starts nothing')
    .addHelpText('after', examples('valetkey service status --json')).action(async () => showService(context));
  command.command('logs').description('Show the log of the daemon')
    .option('-n, --lines <N>', 'so many of the last lines', lineCount, LINES)
    .option('-f, --follow', 'go on as more is written')
    .addHelpText('after', examples('valetkey service logs', 'valetkey service logs --lines 20 --follow'))
    .action(async ({ lines, follow: follows = false }: { lines: number; follow?: boolean }) => {
      if (follows && context.terminal.json) throw ValetkeyError.local('bad_request', '--follow has no end, and --json is one document');
      return showLogs(context, lines, follows);
    });
};
