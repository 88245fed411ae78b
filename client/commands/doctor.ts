import { EXIT } from '../../shared/errors.ts';
import type { StatusReply } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { checkApprovals } from '../doctor/approvals.ts';
import { checkClock, checkStatus, findingOf } from '../doctor/daemon-state.ts';
import type { Finding } from '../doctor/finding.ts';
import { checkCoreLimit, checkEnvironment, checkPtrace, readProc } from '../doctor/host.ts';
import { checkLauncher, launcherFacts } from '../doctor/launcher.ts';
import { checkPaths } from '../doctor/private-paths.ts';
import type { Terminal } from '../terminal.ts';
import { count } from '../time-words.ts';

async function askDaemon({ daemon, signal }: CommandContext): Promise<{ status: StatusReply } | { finding: Finding }> {
  try {
    return { status: await daemon.api.status(signal) };
  } catch (error) {
    return { finding: findingOf(error) };
  }
}

function hostFindings(status: StatusReply | null): readonly Finding[] {
  if (process.platform !== 'linux') return [];
  return [
    checkPtrace(readProc('/proc/sys/kernel/yama/ptrace_scope')),
    ...(status === null ? [] : [checkCoreLimit(readProc(`/proc/${status.pid}/limits`))]),
  ];
}

function show(terminal: Terminal, findings: readonly Finding[]): void {
  const shown = terminal.quiet ? findings.filter(({ level }) => level !== 'ok') : findings;
  for (const { level, check, what, why, command, advice } of shown) {
    terminal.line(`${level.padEnd(7)}  ${check}: ${what}`);
    if (why !== '') terminal.line(`         Why it matters: ${why}`);
    if (command !== null) terminal.line(`         Run: ${command}`);
    if (advice !== undefined) terminal.line(`         ${advice}`);
  }
  const of = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  terminal.note(`${count(of('error'), 'error')}, ${count(of('warning'), 'warning')}, ${of('ok')} in order`);
}

async function doctor(context: CommandContext): Promise<void> {
  const { terminal, paths, owner, env, now, signal } = context;
  const answer = await askDaemon(context);
  signal.throwIfAborted();
  const status = 'status' in answer ? answer.status : null;
  const approvals = status === null ? null : await context.daemon.api.approvals(signal);
  const findings: readonly Finding[] = [
    ...checkPaths(paths, owner.uid),
    ...('status' in answer ? checkStatus(answer.status) : [answer.finding]),
    ...(approvals === null ? [] : checkApprovals(approvals.channels)),
    checkClock(now(), status?.started_at ?? null),
    ...hostFindings(status),
    checkLauncher(launcherFacts()),
    ...checkEnvironment(env),
  ];
  if (terminal.json) terminal.document({ findings });
  else show(terminal, findings);
  if (findings.some(({ level }) => level === 'error')) context.endWith(EXIT.config);
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey doctor', 'valetkey doctor --json', 'valetkey doctor --quiet    # only what is wrong'))
    .action(async () => doctor(context));
};
