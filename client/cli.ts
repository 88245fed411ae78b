/**
 * The command line: reads argv, runs one verb, and turns every ending into an exit status. Usage errors are
 * problem documents like all others.
 */
import { Command, CommanderError } from 'commander';
import { ERRORS, EXIT } from '../shared/errors.ts';
import { BUILD_VERSION } from '../shared/version.ts';
import { examples } from './command.ts';
import type { CommandContext, DaemonLink, Env, World } from './command.ts';
import { foldHelp } from './fold-help.ts';
import { HELP_LAYOUT } from './help-layout.ts';
import { createTerminal } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { ValetkeyError, withHint } from './valetkey-error.ts';
import { VERBS } from './verbs.ts';
import type { Verb } from './verbs.ts';

/** Marks that CI systems set; `CI=false` and an empty one say that it is none. */
export function isAutomation(env: Env): boolean {
  return ['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'BUILDKITE', 'JENKINS_URL', 'TF_BUILD', 'TEAMCITY_VERSION']
    .some((name) => !['', 'false', '0', undefined].includes(env[name]));
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

/** A program whose errors are thrown, and which writes by our streams. */
function prepare(command: Command, world: Pick<World, 'stdout'>, writeErr: (text: string) => void): Command {
  return command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void world.stdout.write(world.stdout.isTTY === true ? foldHelp(text, world.stdout.columns ?? 80) : text),
      writeErr, // errors are thrown too, and shown like all others
      getOutHelpWidth: () => world.stdout.columns || 80,
    })
    .configureHelp(HELP_LAYOUT)
    .showSuggestionAfterError(true);
}

/** All verbs by name; with its flags only the one that is called, or all for `completion` and the manual pages. */
export async function buildProgram(world: Pick<World, 'stdout'>, context: CommandContext, writeErr: (text: string) => void, wanted: (verb: Verb) => boolean): Promise<Command> {
  const program = prepare(new Command('valetkey'), world, writeErr)
    .description('Sign in once, and every CLI gets short-lived access tokens.')
    .version(BUILD_VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [verb...]', 'show help for a verb')
    .option('--json', 'one JSON document on standard output; errors as problem documents on standard error')
    .option('-q, --quiet', 'only what was asked for, and errors')
    .addHelpText('after', examples('valetkey profile add work --issuer https://login.example.com --client-id cli', 'valetkey login work', 'curl -H "$(valetkey token work --format header)" https://api.example.com/'));
  for (const verb of VERBS) {
    const command = prepare(program.command(verb.name).summary(verb.summary).description(verb.summary), world, writeErr);
    if (!wanted(verb)) continue;
    const { declare } = await verb.load();
    declare(command, context);
    for (const sub of command.commands) prepare(sub, world, writeErr);
  }
  return program;
}

/** The verb that was called, such as `profile add`, and what follows it. */
function findVerb(program: Command, words: readonly string[]): { readonly verb: Command; readonly rest: readonly string[] } {
  let verb = program;
  for (const [i, word] of words.entries()) {
    const below = verb.commands.find((sub) => sub.name() === word);
    if (below === undefined) return { verb, rest: words.slice(i) };
    verb = below;
  }
  return { verb, rest: [] };
}

function pathOf(verb: Command): string {
  return verb.parent === null ? '' : `${pathOf(verb.parent)} ${verb.name()}`;
}

/** `help profile add`. Commander's own knows one word, and shows the help of everything for a word that it does not know. */
function showHelp(program: Command, words: readonly string[]): void {
  const { verb, rest } = findVerb(program, words);
  const [unknown] = rest;
  if (unknown !== undefined) throw ValetkeyError.local('bad_request', `there is no verb ${[...words.slice(0, -rest.length), unknown].join(' ')}`, { hint: `Run: valetkey help${pathOf(verb)}` });
  verb.outputHelp();
}

/** Usage errors of commander as problems; null where it has shown what was asked for (help, version). */
function usageError(error: CommanderError, help: string): ValetkeyError | null {
  if (error.exitCode === 0) return null;
  const detail = error.code === 'commander.help' ? 'no verb was named' : error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return ValetkeyError.local('bad_request', detail, { hint: help });
}

/** @param help - the step that is next where the command line is wrong */
function asProblem(error: unknown, signal: AbortSignal, help: string): ValetkeyError | null {
  if (error instanceof CommanderError) return usageError(error, help);
  if (signal.aborted) return ValetkeyError.local('cancelled', 'cancelled at the terminal');
  // The table's hint is for whoever writes requests.
  if (error instanceof ValetkeyError) return error.code === 'bad_request' && error.hint === ERRORS.bad_request.hint ? withHint(error, help) : error;
  return ValetkeyError.local('internal', error instanceof Error ? error.message : String(error), { cause: error, hint: 'Please report it, with the command that you ran' });
}

function createContext(world: World, terminal: Terminal, label: string, endWith: (status: number) => void): { context: CommandContext; close: () => void } {
  const opened: DaemonLink[] = [];
  const open = (startDaemon: boolean) => once(() => {
    const link = world.link({ startDaemon, label });
    opened.push(link);
    return link;
  });
  const daemon = open(true);
  const runningDaemon = open(false);
  const { link: _link, stdout: _stdout, stderr, ...rest } = world;
  const context: CommandContext = {
    ...rest,
    terminal,
    get daemon() { return daemon(); },
    get runningDaemon() { return runningDaemon(); },
    isInteractive: world.stdinIsTerminal && stderr.isTTY === true && !isAutomation(world.env),
    endWith,
  };
  return { context, close: () => opened.forEach((link) => link.close()) };
}

/** @returns the exit status. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  const words = argv.filter((word) => !word.startsWith('-'));
  const verb = words[0] === 'help' ? words[1] : words[0];
  // Looked for before parsing, since a usage error has to be shown in the right form too.
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const terminal = createTerminal({
    stdout: world.stdout, stderr: world.stderr, env: world.env,
    json: flags.includes('--json'), quiet: flags.includes('--quiet') || flags.includes('-q'),
  });
  let status: number = EXIT.ok;
  const { context, close } = createContext(world, terminal, `valetkey ${verb ?? ''}`.trim(), (ended) => { status = ended; });
  let usage = '';
  let help = 'Run: valetkey help';
  try {
    const program = await buildProgram(world, context, (text) => { usage += text; }, ({ name }) => name === verb || verb === 'completion');
    help += pathOf(findVerb(program, words).verb);
    if (words[0] === 'help') showHelp(program, words.slice(1));
    else await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    // A verb that needs another one after it, like git: the help, and the status of an error.
    if (error instanceof CommanderError && error.code === 'commander.help' && !terminal.json) {
      world.stderr.write(usage);
      return EXIT.usage;
    }
    const problem = asProblem(error, world.signal, help);
    if (problem === null) return EXIT.ok;
    terminal.fail(problem);
    return problem.exit;
  } finally {
    close();
  }
}
