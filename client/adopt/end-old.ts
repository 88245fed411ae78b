/**
 * Ends the old sign-in of a tool: by the tool's own documented command, so that its state stays its own, or by removing
 * files that hold nothing else. Whatever fails leaves the file as it was.
 */
import { spawn } from 'node:child_process';
import { readdir, readlink, unlink } from 'node:fs/promises';
import type { Finder } from './finder.ts';
import { find } from './find.ts';
import type { Finding, Owner } from './find.ts';
import { readOwnFile } from './read-file.ts';

/** Why it was not done; null: it was. */
export type Failure = string | null;

/** A label came from a file: it may be an argument of a command only if it cannot be taken for an option or anything else. */
function asArgument(label: string | null): string | null {
  return label !== null && /^[\w@][\w@.:/+-]*$/.test(label) ? label : null;
}

function fillArguments(argv: readonly string[], finding: Finding): readonly string[] | null {
  const words = argv.map((word) => (word === '{account}' ? asArgument(finding.account) : word === '{issuer}' ? asArgument(finding.issuer) : word));
  return words.every((word) => word !== null) ? words : null;
}

async function run(argv: readonly string[], env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<Failure> {
  const [file = '', ...args] = argv;
  return new Promise((resolve) => {
    // Standard output is ours; what the tool says goes beside our own words.
    const child = spawn(file, args, { env: { ...env }, stdio: ['inherit', 2, 2], signal });
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? `${file} is not installed` : `${file} could not be run (${error.code ?? error.name})`));
    child.once('exit', (status, killedBy) => resolve(status === 0 ? null : `${argv.join(' ')} ended with ${killedBy ?? `status ${status}`}`));
  });
}

/** Each command once, although it may be for several tokens; null where the files do not say enough. */
export function commandsFor(argv: readonly string[], findings: readonly Finding[]): readonly (readonly string[])[] | null {
  const commands = findings.map((finding) => fillArguments(argv, finding));
  const known = commands.flatMap((words) => (words === null ? [] : [words]));
  return known.length < commands.length ? null : [...new Map(known.map((words) => [JSON.stringify(words), words])).values()];
}

export async function endByCommand(argv: readonly string[], findings: readonly Finding[], env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<Failure> {
  const commands = commandsFor(argv, findings);
  if (commands === null) return `the file does not say enough to run: ${argv.join(' ')}`;
  for (const words of commands) {
    const failure = await run(words, env, signal);
    if (failure !== null) return failure;
  }
  return null;
}

/** Whether some process of this user has the file open, so that removing it would pull it from under its feet. */
async function isOpen(path: string): Promise<boolean> {
  const pids = await readdir('/proc').then((names) => names.filter((name) => /^\d+$/.test(name) && name !== String(process.pid)), () => []);
  for (const pid of pids) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []); // of another user, or gone
    for (const fd of fds) if (await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '') === path) return true;
  }
  return false;
}

/** Removes exactly the files that were read: one that has changed since is somebody's new sign-in. */
export async function endByRemoval(findings: readonly Finding[], uid: number): Promise<Failure> {
  for (const { path, realPath, identity } of new Map(findings.map((finding) => [finding.realPath, finding])).values()) {
    if (await isOpen(realPath)) return `a program has ${path} open`;
    const again = await readOwnFile(path, uid);
    if (again.kind === 'absent') continue;
    if (again.kind === 'skipped' || again.file.identity !== identity || again.file.realPath !== realPath) return `${path} has changed since it was read`;
    const failure = await unlink(realPath).then(() => null, (error: NodeJS.ErrnoException) => `${path} could not be removed (${error.code})`);
    if (failure !== null) return failure;
  }
  return null;
}

export async function isStillThere(finder: Finder, owner: Owner, env: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  return (await find([finder], owner, env)).findings.length > 0;
}
