/**
 * One connection of the line dialect: an answer for each request, in order of asking for those without id,
 * and as they come for the others. Whatever bytes it sends, it costs the other connections nothing:
 *
 * F1  At most 64 requests are under way, and at most 128 answers wait behind one that is not there yet.
 * F2  While the outlet is full nothing more is taken.
 * F3  A turn of the event loop takes at most 64 frames of one connection.
 */
import type { Socket } from 'node:net';
import type { Caller } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Admission } from '../admission.ts';
import { NEVER } from '../connections.ts';
import type { Connection, Connections, Speaker } from '../connections.ts';
import { LEFT } from '../deadline.ts';
import type { Dispatch, RequestId, Sink } from '../dispatch.ts';
import { encodeReply } from '../encode.ts';
import { asBrokerError } from '../problem.ts';
import { DISCARD_BYTES, FRAME_MS, FRAMES_A_TURN, IDLE_MS, IN_LINE, LAST_WORDS_MS, PROBE_MS, UNDER_WAY } from './bounds.ts';
import { FrameReader } from './frame-reader.ts';
import { NO_HEAD, readFrame, writeFrame } from './frame.ts';
import type { Asking, Frame, Head, Id } from './frame.ts';
import { Outlet } from './outlet.ts';
import { Pending } from './pending.ts';

export type ConversationDeps = { readonly admission: Admission; readonly dispatch: Dispatch; readonly connections: Connections };

export class Conversation implements Speaker {
  readonly #deps: ConversationDeps;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #reader = new FrameReader();
  readonly #outlet: Outlet;
  /** Null until the caller was looked at. */
  #caller: Caller | BrokerError | null = null;
  /** Requests without answer, streams among them. */
  readonly #underWay: Pending[] = [];
  #streams = 0;
  /** Requests without id in order of asking, from the first that is not answered yet. */
  readonly #line: { readonly text: string | null }[] = [];
  #hasChunk = true;
  #isTurn = false;
  #isPaused = false;
  #isTimingFrame = false;
  #hasEnded = false;
  #isResting = false;
  #isOver = false;
  #discarded = 0;

  constructor(deps: ConversationDeps, connection: Connection) {
    this.#deps = deps;
    this.#connection = connection;
    this.#socket = connection.socket;
    this.#outlet = new Outlet(connection.socket);
    connection.speaker = this;
  }

  /** Takes the first bytes that came. */
  start(first: Buffer): void {
    const begin = (caller: Caller | BrokerError): void => {
      this.#caller = caller;
      this.#go();
    };
    const { caller } = this.#connection;
    this.#reader.push(first);
    if (!(caller instanceof Promise)) return begin(caller);
    this.#setPaused(true);
    caller.then(begin, (cause: unknown) => begin(asBrokerError(cause)));
  }

  data(chunk: Buffer): void {
    if (this.#isOver) return this.#discard(chunk);
    this.#reader.push(chunk);
    this.#hasChunk = true;
    this.#go();
  }

  /** What is under way is answered, then the connection ends. */
  end(): void {
    this.#hasEnded = true;
    this.#leaveIfDone();
  }

  close(): void {
    this.#isOver = true;
    this.#abandon();
  }

  /** What was asked is answered; then, between two frames, the connection ends. */
  rest(): void {
    this.#isResting = true;
    this.#leaveIfDone();
  }

  late(): void {
    if (this.#isOver || !(this.#reader.isWithin || this.#hasEnded)) this.#socket.destroy();
    else if (this.#hasEnded) this.#leaveIfDone();
    else this.#endWithFault('the frame was not complete within 5 s');
  }

  /** Takes frames until there is none, or until something has to happen first. */
  #go(): void {
    if (this.#isTurn || this.#isOver) return;
    this.#isTurn = true;
    let taken = 0;
    for (; this.#hasChunk && !this.#isOver && taken < FRAMES_A_TURN && this.#line.length < IN_LINE && !this.#outlet.isFull; taken += 1) this.#takeNext();
    this.#isTurn = false;
    this.#outlet.flush();
    if (this.#isOver) return;
    if (!this.#hasChunk) this.#setPaused(false);
    else {
      this.#setPaused(true);
      // F3: the others come first. Else an answer that leaves goes on.
      if (taken === FRAMES_A_TURN) setImmediate(() => this.#go());
      else this.#outlet.whenRead(() => this.#go());
    }
    this.#setLimit();
    if (this.#hasEnded || this.#isResting) this.#leaveIfDone();
  }

  #setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  #takeNext(): void {
    let text: string | null;
    try {
      text = this.#reader.next();
    } catch (cause) {
      return this.#endWith(this.#problem(NO_HEAD, 'unknown', cause, this.#deps.dispatch.newRequestId()));
    }
    this.#hasChunk = text !== null;
    if (text === null) return;
    this.#isTimingFrame = false;
    this.#take(readFrame(text, this.#deps.dispatch.routes));
  }

  #take(frame: Frame): void {
    // It asks for nothing: what it may end was counted.
    if (frame.kind === 'cancel') return this.#cancel(frame.id);
    const request = this.#deps.dispatch.newRequestId();
    try {
      const caller = this.#admit();
      if (frame.kind === 'fault') throw frame.error;
      this.#ask(frame.asking, caller, request);
    } catch (cause) {
      const text = this.#problem(frame.head, frame.kind === 'fault' ? 'unknown' : frame.asking.route.label, cause, request);
      if (this.#caller instanceof BrokerError || (frame.kind === 'fault' && frame.ends)) this.#endWith(text);
      else this.#answer(frame.head, text);
    }
  }

  #admit(): Caller {
    const caller = this.#caller;
    if (caller === null) throw new Error('a frame was taken before its caller was known');
    if (caller instanceof BrokerError) throw caller;
    this.#deps.admission.admit(caller);
    return caller;
  }

  #ask(asking: Asking, caller: Caller, request: RequestId): void {
    const { head, route } = asking;
    const { admission, dispatch } = this.#deps;
    if (this.#underWay.length >= UNDER_WAY) throw new BrokerError('too_many_requests', `${UNDER_WAY} requests of this connection are under way`, { retryAfterS: 1 });
    if (head.id !== null && this.#find(head.id) !== undefined) throw new BrokerError('bad_request', 'a request of this id is under way');
    admission.refuseWhileStopping();
    const pending = new Pending(asking, caller, () => this.#openStream(pending));
    const result = dispatch.run(route, pending, request);
    if (result !== undefined && !(result instanceof Promise)) return this.#answer(head, this.#encode(head, result));
    this.#underWay.push(pending);
    if (head.id === null && !pending.isStream) this.#line.push(pending);
    if (!(result instanceof Promise)) return;
    result.then(
      (value: unknown) => this.#encode(head, value),
      (cause: unknown) => this.#problem(head, route.label, cause, request),
    ).then((text) => this.#settle(pending, text), (cause: unknown) => this.#settle(pending, this.#problem(head, route.label, cause, request)));
  }

  #find(id: Id): Pending | undefined {
    return this.#underWay.find(({ head }) => head.id === id); // there are 64 at most
  }

  #openStream(pending: Pending): Sink {
    pending.isStream = true;
    this.#streams += 1;
    return {
      send: (event) => {
        if (this.#isOver) return;
        if (this.#outlet.isFull) this.#socket.destroy();
        else this.#emit(this.#encode(pending.head, event));
      },
    };
  }

  #cancel(id: Id): void {
    const pending = this.#find(id);
    if (pending === undefined) return;
    const reason = new BrokerError('cancelled', 'the request was taken back');
    pending.gone.end(reason);
    // What waits is told by its signal.
    if (pending.isStream) this.#settle(pending, this.#problem(pending.head, 'events', reason, this.#deps.dispatch.newRequestId()));
  }

  #settle(pending: Pending, text: string): void {
    this.#underWay.splice(this.#underWay.indexOf(pending), 1);
    if (pending.isStream) this.#streams -= 1;
    if (this.#isOver) return;
    pending.text = text;
    if (pending.head.id !== null) this.#emit(text);
    else if (this.#deps.admission.isSame(pending.caller)) this.#emitLine();
    else return void this.#socket.destroy(); // what waited for its turn leaves only to the program that it was meant for
    this.#go();
  }

  /** An answer that is there at once. */
  #answer(head: Head, text: string): void {
    if (head.id === null && this.#line.length > 0) this.#line.push({ text });
    else this.#emit(text);
  }

  #emitLine(): void {
    for (let text = this.#line[0]?.text; typeof text === 'string'; text = this.#line[0]?.text) {
      this.#line.shift();
      this.#emit(text);
    }
  }

  #encode(head: Head, value: unknown): string {
    return writeFrame(head, 200, encodeReply(value), this.#reader.terminator);
  }

  #problem(head: Head, label: string, cause: unknown, request: RequestId): string {
    const problem = this.#deps.dispatch.problem(cause, label, request);
    return writeFrame(head, problem.status, JSON.stringify(problem), this.#reader.terminator);
  }

  #emit(text: string): void {
    this.#outlet.add(text);
    if (!this.#isTurn) this.#outlet.flush();
  }

  /** A frame that began has to end; between frames, and while nothing is under way, a connection is idle. */
  #setLimit(): void {
    const { connections } = this.#deps;
    if (this.#hasEnded) return;
    if (!this.#reader.isWithin || this.#isPaused) this.#connection.until = this.#underWay.length > 0 ? NEVER : connections.in(IDLE_MS);
    else if (!this.#isTimingFrame) {
      this.#isTimingFrame = true;
      this.#connection.until = connections.in(FRAME_MS);
    }
  }

  #leaveIfDone(): void {
    if (this.#isOver || !(this.#hasEnded || this.#isResting) || this.#hasChunk) return;
    // A pause that we take ourselves: what was read is taken, the rest of the frame will come, and answers leave by themselves.
    if (!this.#hasEnded && (this.#connection.hasKept || this.#reader.isWithin || this.#underWay.length > this.#streams)) return;
    if (this.#reader.isWithin) return this.#endWithFault('the last frame was not ended');
    if (this.#underWay.length > this.#streams) {
      // Whether it only stopped sending, or is gone, a write tells: of no byte, and again after a while.
      this.#connection.until = this.#deps.connections.in(PROBE_MS);
      this.#socket.write('');
      return;
    }
    this.#isOver = true;
    if (this.#outlet.isEmpty) this.#socket.destroy();
    else this.#sayGoodbye('');
  }

  #endWithFault(what: string): void {
    this.#endWith(this.#problem(NO_HEAD, 'unknown', new BrokerError('bad_request', what), this.#deps.dispatch.newRequestId()));
  }

  /** Nobody knows where the next frame would begin. */
  #endWith(text: string): void {
    this.#isOver = true;
    this.#sayGoodbye(text);
    this.#abandon();
    this.#setPaused(false);
  }

  /** Whoever still writes when a socket is closed may never read why: what comes is taken for a while, and thrown away. */
  #discard(chunk: Buffer): void {
    this.#discarded += chunk.length;
    if (this.#discarded > DISCARD_BYTES) this.#setPaused(true);
  }

  #sayGoodbye(text: string): void {
    this.#connection.until = this.#deps.connections.in(LAST_WORDS_MS);
    this.#outlet.end(text);
  }

  #abandon(): void {
    for (const pending of this.#underWay) pending.gone.end(LEFT);
  }
}
