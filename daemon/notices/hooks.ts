/**
 * Tells the user's commands what happened. One command runs at most once at a time and has a short line behind it; what
 * does not fit is dropped and said. Nobody waits for a command, and nothing that it does or fails to do comes back.
 */
import type { BrokerEvent } from '../../shared/schemas.ts';
import { BrokerError } from '../core/errors.ts';
import type { Hook, ReadHooks, RunHook } from '../core/hook.ts';
import type { Log } from '../core/ports.ts';

export type HooksDeps = { readonly read: ReadHooks; readonly run: RunHook; readonly log: Log; readonly signal: AbortSignal };

const WAITING_MAX = 16;
/** Words of the daemon's own: reasons, states, ids. What a stranger chose is not handed to scripts, however cleaned. */
const OWN_WORDS = /^[\w.:-]+(?: [\w.:-]+){0,15}$/;

type Lane = { hook: Hook; isBusy: boolean; dropped: number; readonly waiting: BrokerEvent[] };

export class Hooks {
  readonly #deps: HooksDeps;
  #lanes: readonly Lane[] = [];
  #trouble: string | null = null;

  constructor(deps: HooksDeps) {
    this.#deps = deps;
  }

  /** What is wrong with the file, for people; null: nothing. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Throws as the file is read. What is only mistaken leaves the hooks from before; what others could have changed leaves none. */
  async reload(): Promise<void> {
    try {
      const hooks = await this.#deps.read();
      this.#trouble = null;
      this.#replace(hooks);
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      if (cause.code === 'config_untrusted') this.#replace([]);
      this.#trouble = `${cause.message}; ${this.#lanes.length === 0 ? 'no hook runs' : 'the hooks from before still run'}`;
      throw cause;
    }
  }

  /** Reads the file, and takes nothing of it. Throws as reload(). */
  async look(): Promise<void> {
    await this.#deps.read();
  }

  /** As reload(), for a start: a daemon without its hooks runs, and says so in status. */
  async open(): Promise<void> {
    await this.reload().catch((cause: unknown) => {
      if (!(cause instanceof BrokerError)) throw cause;
      this.#deps.log.warn('hooks_not_read', { code: cause.code, why: cause.message });
    });
  }

  take(event: BrokerEvent): void {
    for (const lane of this.#lanes) {
      if (!lane.hook.on.some((each) => each === event.event)) continue;
      if (lane.waiting.length >= WAITING_MAX) {
        // Once a jam: a command that hangs must not flood the log as well.
        if (lane.dropped === 0) this.#deps.log.warn('hook_events_dropped', { hook: lane.hook.name });
        lane.dropped += 1;
        continue;
      }
      lane.waiting.push(event);
      if (!lane.isBusy) void this.#work(lane);
    }
  }

  /** A command that runs goes on under the definition that it began with. */
  #replace(hooks: readonly Hook[]): void {
    const before = this.#lanes;
    this.#lanes = hooks.map((hook) => {
      const lane = before.find((each) => each.hook.name === hook.name);
      if (lane === undefined) return { hook, isBusy: false, dropped: 0, waiting: [] };
      lane.hook = hook;
      return lane;
    });
    for (const lane of before) if (!this.#lanes.includes(lane)) lane.waiting.length = 0;
  }

  async #work(lane: Lane): Promise<void> {
    const { run, log, signal } = this.#deps;
    lane.isBusy = true;
    for (let event = lane.waiting.shift(); event !== undefined && !signal.aborted; event = lane.waiting.shift()) {
      const { name, run: argv } = lane.hook;
      const failed = await run(argv, variablesOf(event, name), signal).catch((cause: unknown) => {
        log.error('hook_failed', { hook: name, event: event?.event ?? null }, cause);
        return null;
      });
      if (failed !== null) log.warn('hook_failed', { hook: name, event: event.event, why: failed });
      else log.debug('hook_ran', { hook: name, event: event.event });
    }
    if (lane.dropped > 0) log.warn('hook_events_were_dropped', { hook: lane.hook.name, events: lane.dropped });
    lane.dropped = 0;
    lane.isBusy = false;
  }
}

/** A detector's sentence names programs; its name is ours. */
function variablesOf({ at, event, profile, detail }: BrokerEvent, hook: string): Readonly<Record<string, string>> {
  const words = event === 'detected' ? detail?.split(':')[0] : detail;
  return {
    VALETKEY_EVENT: event,
    VALETKEY_AT: String(at),
    VALETKEY_HOOK: hook,
    ...(profile === null ? {} : { VALETKEY_PROFILE: profile }),
    ...(typeof words === 'string' && OWN_WORDS.test(words) ? { VALETKEY_DETAIL: words } : {}),
  };
}
