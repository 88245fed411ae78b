/**
 * Runs a program of this project where its processes count as those of a person: in a terminal session whose beginnings
 * can be seen. Tests, demo and bench play people, and what no person is behind is asked about first. Tried in this order:
 * as it is, at a pseudo-terminal, and in a process namespace that is a machine of its own (for whoever is started by a
 * service, a coding agent, or by what has ended since). Where none will do the program runs as it is, and says what follows.
 *
 * Usage: node scripts/as-person.mjs FILE ARGUMENT…  (after a build)
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import process, { argv, env, execPath, exit, getuid, pid, platform } from 'node:process';
import { fileURLToPath } from 'node:url';
import { createCallers } from '../dist/daemon/callers/callers.js';

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const self = fileURLToPath(import.meta.url);

async function isPerson() {
  const callers = createCallers({ loginctl: async () => null, ownCli: [] });
  const caller = await callers.attest({ uid: getuid?.() ?? -1, pid }, null);
  callers.close();
  return caller?.origin.class === 'human';
}

/** @param {string} word */
const quoted = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Its output is not the terminal's: descriptors 3 and 4 are whose they were. @param {readonly string[]} command */
function atTerminal(command) {
  return ['script', '-qec', `exec ${command.map(quoted).join(' ')} </dev/null >&3 2>&4 3>&- 4>&-`, '/dev/null'];
}

/** @param {readonly string[]} command */
function onMachineOfItsOwn(command) {
  const mine = getuid?.() === 0 ? [] : ['--user', '--map-current-user'];
  // Of what its init starts itself one cannot tell whether it was left behind, so that is the shell.
  return ['unshare', ...mine, '--pid', '--cgroup', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', '"$@"; exit $?', 'sh', ...atTerminal(command)];
}

/** @param {readonly string[]} command @returns {readonly string[]} */
function asItIs(command) {
  return command;
}

/**
 * @param {(command: readonly string[]) => readonly string[]} way
 * @param {readonly string[]} program
 * @returns {Promise<number>}
 */
function run(way, program) {
  const [file = '', ...args] = way([execPath, ...program]);
  // script hangs, or ends early, on a standard input that is closed: it is a pipe that nobody writes to.
  const child = way === asItIs ? spawn(file, args, { stdio: 'inherit' }) : spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore', 1, 2], env: { ...env, SHELL: '/bin/sh' } });
  /** @type {NodeJS.Signals | null} */
  let ended = null;
  const end = (/** @type {NodeJS.Signals} */ signal) => {
    ended = signal;
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code) => {
      child.stdin?.destroy();
      resolve(ended === null ? code ?? 1 : 128 + constants.signals[ended]);
    });
  });
}

if (argv[2] === '--probe') exit(await isPerson() ? 0 : 1);
let found = asItIs;
for (const way of platform === 'linux' ? [asItIs, atTerminal, onMachineOfItsOwn] : []) {
  if (await run(way, [self, '--probe']) !== 0) continue;
  found = way;
  break;
}
exit(await run(found, argv.slice(2)));
