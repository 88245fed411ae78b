/** A command of the user's that is told of an event. It is told and never asked: nothing that it does changes a decision. */
import type { BrokerEvent } from '../../shared/schemas.ts';

/** What a command can be told of: what people act on. Releases of tokens are no such thing, and are many. */
export const HOOK_EVENTS = [
  'login_needed', 'login_started', 'login_finished', 'session_ending', 'grant_parked', 'grant_removed', 'approval_asked', 'approval_answered',
  'detected', 'locked', 'unlocked', 'locked_out', 'session_locked', 'session_unlocked', 'config_reloaded',
] as const satisfies readonly BrokerEvent['event'][];

export type Hook = {
  readonly name: string;
  readonly on: readonly (typeof HOOK_EVENTS)[number][];
  /** Program, by its absolute path, and arguments; no shell reads them. */
  readonly run: readonly string[];
};

/** Reads hooks.toml; no file is no hook. Throws config_invalid, config_untrusted or file_too_new. */
export type ReadHooks = () => Promise<readonly Hook[]>;

/**
 * Runs a program until it ends, its time is over or the signal comes, and with it whatever it started and did not send away.
 * @param variables - of its environment, beside those that every hook has
 * @returns why it failed, for the log; null: it ended with status 0. Never rejects.
 */
export type RunHook = (argv: readonly string[], variables: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<string | null>;
