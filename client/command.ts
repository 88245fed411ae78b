/** What a command of the CLI is given, and how it is declared. Tests give it another world. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { IncomingMessage } from 'node:http';
import type { FetchRequest } from '../shared/fetch-schemas.ts';
import type { Paths } from '../shared/paths.ts';
import type { Api } from './api.ts';
import type { Opening } from './browser.ts';
import type { Owner } from './local-paths.ts';
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Started } from './run-child.ts';
import type { Stream, Terminal } from './terminal.ts';
import type { Person } from './tty.ts';
import type { LiveScreen, ScreenEvents } from './watch/live-screen.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export type DaemonLink = {
  readonly api: Api;
  /** False if it ran already. */
  ensureDaemon(signal: AbortSignal): Promise<boolean>;
  /** What happens from now on, until the signal or the daemon ends. Resolves when it is listened. */
  events(signal: AbortSignal): Promise<AsyncIterable<BrokerEvent>>;
  /** An API's answer to a request that the daemon sends with the token. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<IncomingMessage>;
  close(): void;
};

/** Everything outside of the CLI. */
export type World = {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly stdinIsTerminal: boolean;
  readonly env: Env;
  /** Asked for only where it is needed: the directory may be gone. @throws ValetkeyError no_profile */
  cwd(): string;
  readonly owner: Owner;
  readonly paths: Paths;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  link(options: { readonly startDaemon: boolean; readonly label: string }): DaemonLink;
  meetPerson(): Person | null;
  /** Takes the whole terminal, which is as it was when the screen is closed; null: standard input and output are no terminal that could be drawn on. */
  readonly openScreen: ((events: ScreenEvents) => LiveScreen) | null;
  /** Settles when the opener has failed, or has had the time to; at once when the signal says that nobody waits. */
  openBrowser(startUrl: string, command: readonly string[] | null, signal: AbortSignal): Promise<Opening>;
  /** In this terminal and process group, with these streams. @returns its exit status, as shells count. @throws ValetkeyError command_not_found, command_not_executable */
  runProgram(program: Started): Promise<number>;
  /** All of standard input, at most `max` bytes. */
  readStdin(max: number): Promise<string>;
  /** Standard input line by line, for whoever waits for an answer to each; a line has at most `max` characters. */
  stdinLines(max: number): AsyncIterable<string>;
  /** To standard output, as it is and as fast as that is read. Throws what the stream throws; ends quietly where nobody reads any more. */
  writeAll(bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Seconds since 1970-01-01 UTC. */
  now(): number;
};

export type CommandContext = Omit<World, 'link' | 'stdout' | 'stderr'> & {
  readonly terminal: Terminal;
  /** The daemon, started where it does not run. */
  readonly daemon: DaemonLink;
  /** The daemon, if it runs. */
  readonly runningDaemon: DaemonLink;
  /** Both a person to see it and a terminal to answer at, and no mark of automation. */
  readonly isInteractive: boolean;
  /** Ends with this status although nothing was thrown. */
  endWith(status: number): void;
};

/** Gives a verb its arguments, flags, examples and action. */
export type Declare = (command: Command, context: CommandContext) => void;

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

/** An option that takes one of these words; `completion` offers them. */
export function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

/** For repeatable options. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
