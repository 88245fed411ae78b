/**
 * One frame of the line dialect, from its text to a request, and from an answer to text. Pure. What is wrong
 * with a frame comes back as a fault, with as much of it as can be told to whoever asked.
 */
import * as v from 'valibot';
import { isJsonObject, parseJsonObject } from '../../../shared/json-object.ts';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../../../shared/version.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Route } from '../dispatch.ts';

export type Id = string | number;

/** What an answer repeats of its frame. Null: the frame had none. */
export type Head = {
  readonly type: string;
  readonly id: Id | null;
  /** Of a request without id: `data.id`, repeated in the answer's data. */
  readonly echo: Id | null;
};

/** What a frame asks for. */
export type Asking = {
  readonly head: Head;
  readonly route: Route;
  readonly body: unknown;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
};

export type Frame =
  | { readonly kind: 'request'; readonly head: Head; readonly asking: Asking }
  | { readonly kind: 'cancel'; readonly id: Id }
  /** `ends`: nobody knows where the next frame would begin, or what the other side speaks. */
  | { readonly kind: 'fault'; readonly head: Head; readonly error: BrokerError; readonly ends: boolean };

const ID_LENGTH = 64;
/** As long as a path takes them. */
const PARAM_LENGTH = 100;
const MEMBERS = new Set(['type', 'id', 'protocol', 'data']);
/** Of an answer to a frame whose type is not repeated. */
const NAMELESS = 'problem';
/**
 * Names that clients of node-ipc keep for events of their own, and those that every object inherits: a frame may
 * not have them as its type, and no answer carries them.
 */
const RESERVED = new Set([
  'start', 'connect', 'disconnect', 'destroy', 'close', 'error', 'data', 'socket.disconnected', 'kill.server',
  ...Object.getOwnPropertyNames(Object.prototype), 'prototype',
]);
export const NO_HEAD: Head = { type: NAMELESS, id: null, echo: null };
const NO_PARTS: Readonly<Record<string, string>> = {};
const NO_DATA: Readonly<Record<string, unknown>> = {};

type Routes = ReadonlyMap<string, Route>;

/** Of a launcher every frame is the same, word for word; and what asks for a token holds no secret. */
const REPEATED = 'token';
const REPEATED_CHARS = 1_024;
let last: { readonly text: string; readonly routes: Routes; readonly frame: Frame } | null = null;

export function readFrame(text: string, routes: Routes): Frame {
  if (last !== null && text === last.text && routes === last.routes) return last.frame;
  const frame = readAnew(text, routes);
  if (frame.kind === 'request' && frame.asking.route.name === REPEATED && text.length <= REPEATED_CHARS) last = { text, routes, frame };
  return frame;
}

function readAnew(text: string, routes: Routes): Frame {
  let head = NO_HEAD;
  const fault = (error: BrokerError, ends = false): Frame => ({ kind: 'fault', head, error, ends });
  const message = parseJsonObject(text);
  if (message === null) return fault(new BrokerError('bad_request', 'the frame is not a JSON object'), true);
  try {
    const { type } = message;
    const known = typeof type === 'string' && mayRepeat(type) ? type : NAMELESS;
    head = { type: known, id: null, echo: null };
    const id = idOf(message['id'], 'id');
    head = { type: known, id, echo: null };
    refuseUnsafeNames(text, message);
    for (const name in message) if (!MEMBERS.has(name)) throw new BrokerError('bad_request', 'a frame has the members type, id, protocol and data, and no others');
    if (typeof type !== 'string') throw new BrokerError('bad_request', 'type must be the name of a method');
    refuseOtherProtocols(message['protocol']);
    if (type === 'cancel') {
      if (id === null) throw new BrokerError('bad_request', 'cancel needs the id of a request');
      return { kind: 'cancel', id };
    }
    const route = routes.get(type);
    if (route === undefined) throw new BrokerError('not_found', 'there is no such method');
    const data = dataOf(message['data']);
    if (id === null && Object.hasOwn(data, 'id') && !route.params.includes('id')) {
      const { id: echo, ...rest } = data;
      head = { type, id: null, echo: idOf(echo, 'data.id') };
      return { kind: 'request', head, asking: askingOf(head, route, rest) };
    }
    return { kind: 'request', head, asking: askingOf(head, route, data) };
  } catch (cause) {
    if (cause instanceof BrokerError) return fault(cause);
    throw cause;
  }
}

function idOf(value: unknown, where: string): Id | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) || (typeof value === 'string' && value.length <= ID_LENGTH)) return value as Id;
  throw new BrokerError('bad_request', `${where} must be a string of ${ID_LENGTH} characters at most, or an integer`);
}

function mayRepeat(type: string): boolean {
  return type.length <= ID_LENGTH && !RESERVED.has(type);
}

/** As HTTP bodies: such a name is never meant well. Most frames hold none of these letters in a row. */
function refuseUnsafeNames(text: string, message: Readonly<Record<string, unknown>>): void {
  if (!/__proto__|constructor|prototype|\\u/.test(text)) return;
  const open: unknown[] = [message];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      if (name === '__proto__' || name === 'constructor' || name === 'prototype') throw new BrokerError('bad_request', 'the frame has a member of a name that is not allowed');
      if (typeof inner === 'object' && inner !== null) open.push(inner);
    }
  }
}

function refuseOtherProtocols(protocol: unknown): void {
  if (protocol === undefined || protocol === PROTOCOL_VERSION) return;
  if (typeof protocol !== 'number') throw new BrokerError('bad_request', 'protocol must be a number');
  throw new BrokerError('protocol_mismatch', `the daemon speaks protocol ${PROTOCOL_VERSION}, build ${BUILD_VERSION}`);
}

function dataOf(data: unknown): Readonly<Record<string, unknown>> {
  if (data === undefined) return NO_DATA;
  if (!isJsonObject(data)) throw new BrokerError('bad_request', 'data must be an object');
  return data;
}

/** What stands in the path and behind the `?` of HTTP are members of data here. */
function askingOf(head: Head, route: Route, data: Readonly<Record<string, unknown>>): Asking {
  const { params: names, queries } = route;
  if (names.length === 0 && queries.length === 0) return { head, route, body: data, params: NO_PARTS, query: NO_PARTS };
  const rest = { ...data };
  const params: Record<string, string> = {};
  for (const name of names) {
    const value = rest[name];
    if (typeof value !== 'string' || value.length > PARAM_LENGTH) throw new BrokerError('bad_request', `data.${name} must be a string of ${PARAM_LENGTH} characters at most`);
    params[name] = value;
    delete rest[name];
  }
  const query: Record<string, string> = {};
  for (const [name, schema] of queries) {
    const value = rest[name];
    if (value === undefined) continue;
    if (!v.is(schema, value)) throw new BrokerError('bad_request', `data.${name} is not as the method takes it`);
    query[name] = String(value);
    delete rest[name];
  }
  return { head, route, body: rest, params, query };
}

const AFTER_STATUS = `,"protocol":${PROTOCOL_VERSION},"build":${JSON.stringify(BUILD_VERSION)},"data":`;

/** @param json - an object; the order of the members is part of the protocol */
export function writeFrame({ type, id, echo }: Head, status: number, json: string, terminator: string): string {
  const named = id === null ? '' : typeof id === 'number' ? `,"id":${id}` : `,"id":${JSON.stringify(id)}`;
  const data = echo === null ? json : withEcho(json, echo);
  return `{"type":${JSON.stringify(type)}${named},"status":${status}${AFTER_STATUS}${data}}${terminator}`;
}

/** An id of the reply's own stays. */
function withEcho(json: string, echo: Id): string {
  const reply: unknown = JSON.parse(json);
  if (!isJsonObject(reply) || Object.hasOwn(reply, 'id')) return json;
  return `${json.slice(0, -1)}${json === '{}' ? '' : ','}"id":${JSON.stringify(echo)}}`;
}
