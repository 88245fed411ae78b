/**
 * MCP between a host that speaks it by lines on a pipe (stdio transport) and a server that speaks it over HTTP
 * (Streamable HTTP): each message goes on as it is, whatever revision it is of. What cannot be sent is answered here, so
 * that the host is never left waiting.
 */
import type { JSONRPCMessage, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { isJsonObject, parseJsonObject } from '../../shared/json-object.ts';

export type Remote = Pick<StreamableHTTPClientTransport, 'start' | 'send' | 'close' | 'terminateSession' | 'setProtocolVersion' | 'onmessage' | 'onerror'>;

export type BridgeHooks = {
  /** One line to the host. */
  readonly write: (line: string) => void;
  /** What is said of a failure, and the code of it if there is one. */
  readonly explain: (cause: unknown) => { readonly message: string; readonly data?: object };
  /** Of what nobody waits for an answer to. */
  readonly warn: (text: string) => void;
};

/** @param authorized - puts the token into requests to the server, and follows no redirect with it elsewhere */
export async function remoteAt(url: URL, authorized: typeof globalThis.fetch): Promise<Remote> {
  // An eighth of a second of work, for nobody else.
  const { StreamableHTTPClientTransport: Transport } = await import('@modelcontextprotocol/client');
  return new Transport(url, { fetch: authorized, onInsufficientScope: 'throw' });
}

/** JSON-RPC 2.0, section 5.1; the last is one of those left to implementations. */
const PARSE_ERROR = -32_700;
const INVALID_REQUEST = -32_600;
const FAILED = -32_000;

/** Resolves when the host has closed the pipe, and the server was told. */
export async function bridgeMcp(lines: AsyncIterable<string>, remote: Remote, { write, explain, warn }: BridgeHooks): Promise<void> {
  /** Requests under way, by their ids as JSON. */
  const underWay = new Map<string, { readonly isHandshake: boolean; readonly left: AbortController }>();
  const say = (message: object): void => write(`${JSON.stringify(message)}\n`);
  const fail = (id: unknown, code: number, told: ReturnType<BridgeHooks['explain']>): void => say({ jsonrpc: '2.0', id, error: { code, ...told } });

  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's transports are no event targets
  remote.onmessage = (message) => {
    const { id, result } = fieldsOf(message);
    const asked = id === undefined ? undefined : underWay.get(JSON.stringify(id));
    if (asked !== undefined && !('method' in message)) {
      underWay.delete(JSON.stringify(id));
      // From then on each request names it in a header (MCP 2025-11-25, Transports: Protocol Version Header).
      if (asked.isHandshake && isJsonObject(result) && typeof result['protocolVersion'] === 'string') remote.setProtocolVersion(result['protocolVersion']);
    }
    say(message);
  };
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's transports are no event targets
  remote.onerror = (cause) => warn(explain(cause).message);

  const handOn = (text: string): void => {
    const message = parseJsonObject(text);
    if (message === null) return fail(null, PARSE_ERROR, { message: 'this is not a line of JSON' });
    if (message['jsonrpc'] !== '2.0') return fail(null, INVALID_REQUEST, { message: 'this is not JSON-RPC 2.0' });
    const { id, method, params } = message;
    const isRequest = typeof method === 'string' && (typeof id === 'string' || typeof id === 'number');
    if (method === 'notifications/cancelled' && isJsonObject(params)) {
      // Of revisions without sessions the end of its stream is what ends a request.
      const key = JSON.stringify(params['requestId']);
      underWay.get(key)?.left.abort();
      underWay.delete(key);
    }
    const key = JSON.stringify(id);
    const left = new AbortController();
    if (isRequest) underWay.set(key, { isHandshake: method === 'initialize', left });
    remote.send(message as JSONRPCMessage, { requestSignal: left.signal }).catch((cause: unknown) => {
      if (left.signal.aborted) return;
      const told = explain(cause);
      if (isRequest && underWay.delete(key)) fail(id, FAILED, told);
      else warn(told.message);
    });
    return undefined;
  };

  await remote.start();
  try {
    for await (const line of lines) if (line.trim() !== '') handOn(line);
    await remote.terminateSession();
  } catch (cause) {
    warn(explain(cause).message);
  } finally {
    await remote.close();
  }
}

function fieldsOf(message: object): { readonly id?: unknown; readonly result?: unknown } {
  return message;
}
