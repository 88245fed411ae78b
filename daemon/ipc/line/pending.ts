import type { Caller } from '../../core/domain.ts';
import { Ending } from '../deadline.ts';
import type { Asked, Sink } from '../dispatch.ts';
import type { Asking, Head } from './frame.ts';

/** One request of the line dialect, from its frame to its answer. */
export class Pending implements Asked {
  readonly head: Head;
  readonly body: unknown;
  readonly params: Asked['params'];
  readonly query: Asked['query'];
  readonly caller: Caller;
  readonly openStream: () => Sink;
  /** A frame holds JSON, and 64 KiB. */
  readonly openBytes = null;
  isStream = false;
  /** The answer, while it waits for those before it. */
  text: string | null = null;
  #gone: Ending | null = null;

  constructor({ head, body, params, query }: Asking, caller: Caller, openStream: () => Sink) {
    this.head = head;
    this.body = body;
    this.params = params;
    this.query = query;
    this.caller = caller;
    this.openStream = openStream;
  }

  /** Ends when the caller leaves, or takes this request back. */
  get gone(): Ending {
    return (this.#gone ??= new Ending());
  }
}
