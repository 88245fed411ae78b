/**
 * From a request of either dialect to its handler: one table of routes, one schema a body, one deadline, one
 * log. A dialect brings the parts of a request and writes the answer; what a route does it does not know.
 * An answer that is there at once is returned at once, and costs neither a timer nor a signal.
 */
import { METHODS } from '../../shared/methods.ts';
import type { Method, MethodName } from '../../shared/methods.ts';
import type { BrokerEvent, Problem } from '../../shared/schemas.ts';
import type { Caller } from '../core/domain.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import type { TokenUse } from '../core/policy-rules.ts';
import type { Served } from '../tokens/token-source.ts';
import { Ending, untilDeadline } from './deadline.ts';
import { parseBody } from './parse.ts';
import { asBrokerError, problemOf } from './problem.ts';

/** Where events go, in the words of the connection's dialect. A reader that does not read is cut off. */
export type Sink = { send(event: BrokerEvent): void };

/** What an answer of bytes begins with. */
export type BytesHead = { readonly status: number; readonly headers: Readonly<Record<string, string | readonly string[]>> };

/** Where bytes go that are not of the daemon's making. */
export type BytesSink = {
  /** Resolves when more may come: a reader that does not read holds up its own answer, and nothing else. Rejects where it left. */
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
  /** In the middle: nobody can take what came for the whole. */
  cut(): void;
};

/** What a dialect knows of a request. */
export type Asked = {
  readonly body: unknown;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly caller: Caller;
  /** Ends when the caller leaves or takes the request back. */
  readonly gone: Ending;
  /** Answers with a stream, which `gone` ends. */
  readonly openStream: () => Sink;
  /** Answers with bytes; null: the dialect has no place for them. */
  readonly openBytes: ((head: BytesHead) => BytesSink) | null;
};

/** A token that is used here, and does not leave. */
export type Use = {
  /** What policy and a person are asked about. */
  readonly as: TokenUse;
  /** Resolves when it is on record that it is about to be used. */
  note(served: Served, rule: { readonly name: string; readonly approval: string | null }): Promise<void>;
};

/** One request, as a handler sees it. What few handlers look at is made when they do. */
export class Ask {
  /** Valid by the method's schema; null where it has none. */
  readonly body: unknown;
  /** Null: the token is for the caller. */
  readonly use: Use | null;
  readonly #asked: Asked;
  readonly #request: RequestId;
  #own: Ending | null = null;

  constructor(asked: Asked, body: unknown, request: RequestId, use: Use | null = null) {
    this.#asked = asked;
    this.body = body;
    this.use = use;
    this.#request = request;
  }

  /** The request for the token that this one needs. */
  forToken(body: unknown, use: Use): Ask {
    const inner = new Ask(this.#asked, body, this.#request, use);
    inner.#own = this.own;
    return inner;
  }

  get params(): Asked['params'] {
    return this.#asked.params;
  }

  get query(): Asked['query'] {
    return this.#asked.query;
  }

  get caller(): Caller {
    return this.#asked.caller;
  }

  get requestId(): string {
    return this.#request.text;
  }

  /** Ends when the caller leaves. It may have left already. */
  get gone(): AbortSignal {
    return this.#asked.gone.signal;
  }

  /** Ends when the caller leaves or the method's time is over. */
  get signal(): AbortSignal {
    return this.own.signal;
  }

  get own(): Ending {
    if (this.#own === null) {
      this.#own = new Ending();
      if (this.gone.aborted) this.#own.end(this.gone.reason);
    }
    return this.#own;
  }

  /** The handler returns `undefined` then. */
  openStream(): Sink {
    return this.#asked.openStream();
  }

  /** As openStream(). Null: the dialect has no place for bytes. */
  get openBytes(): Asked['openBytes'] {
    return this.#asked.openBytes;
  }
}

/** Names a request in log, audit and problem; made where one of them is written. */
export class RequestId {
  readonly #random: Random;
  #text: string | null = null;

  constructor(random: Random) {
    this.#random = random;
  }

  get text(): string {
    return (this.#text ??= this.#random.token(9));
  }
}

/** Returns the reply's body, or a promise of it; `undefined` where it opened a stream. */
export type Handler = (ask: Ask) => unknown;
export type Handlers = Readonly<Record<MethodName, Handler>>;

export type Route = {
  readonly name: MethodName;
  readonly method: Method;
  readonly handler: Handler;
  /** For the log. */
  readonly label: string;
  /** Names in the path, and names behind the `?` with what they stand for. */
  readonly params: readonly string[];
  readonly queries: readonly (readonly [string, Method['query'][string]])[];
};

export type DispatchDeps = { readonly handlers: Handlers; readonly clock: Clock; readonly log: Log; readonly random: Random };

export class Dispatch {
  readonly routes: ReadonlyMap<string, Route>;
  readonly #deps: DispatchDeps;
  #busy = 0;

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
    const names = Object.keys(METHODS).filter((name): name is MethodName => Object.hasOwn(METHODS, name));
    this.routes = new Map(names.map((name) => {
      const method: Method = METHODS[name];
      const params = [...method.path.matchAll(/\{(\w+)\}/g)].map(([, param = '']) => param);
      return [name, { name, method, handler: deps.handlers[name], label: `${method.verb} ${method.path}`, params, queries: Object.entries(method.query) }];
    }));
  }

  /** Requests that are not answered yet; event streams do not count. */
  get busy(): number {
    return this.#busy;
  }

  newRequestId(): RequestId {
    return new RequestId(this.#deps.random);
  }

  /** Returns the answer, or a promise of it; throws, or rejects, with what problem() tells. */
  run(route: Route, asked: Asked, request: RequestId): unknown {
    const { clock, log } = this.#deps;
    const ask = new Ask(asked, parseBody(route.method, asked.body), request);
    const answer = route.handler(ask);
    if (!(answer instanceof Promise)) {
      this.#note(route, ask);
      return answer;
    }
    this.#busy += 1;
    return untilDeadline({ clock, log }, route.method.timeoutMs, ask.gone, ask.own, answer).then((value: unknown) => {
      this.#note(route, ask);
      return value;
    }).finally(() => {
      this.#busy -= 1;
    });
  }

  #note({ label }: Route, ask: Ask): void {
    this.#deps.log.debug('request', () => ({ request: ask.requestId, route: label, pid: ask.caller.pid }));
  }

  /** What the caller sees of an error; the log sees it as well. */
  problem(cause: unknown, label: string, request: RequestId): Problem {
    const { log } = this.#deps;
    const error = asBrokerError(cause);
    const fields = { request: request.text, code: error.code, route: label };
    if (error.code === 'internal') log.error('request_failed', fields, error.facts.cause);
    // One who floods the socket must not flood the log as well, and whoever left is refused nothing.
    else if (error.code === 'too_many_requests' || error.code === 'cancelled') log.debug('request_refused', { ...fields, why: error.message });
    else log.info('request_refused', { ...fields, why: error.message });
    return problemOf(error, request.text);
  }
}
