/** GET /v1/events: server-sent events. A reader that does not read is cut off; nothing is kept for it. */
import { BrokerError } from '../../core/errors.ts';
import type { Ask } from '../app.ts';
import type { Broker } from './broker.ts';

const STREAMS = 32;
/** No process takes them all. */
const STREAMS_PER_PROCESS = 8;
const UNREAD_BYTES = 65_536;

export async function events(broker: Broker, ask: Ask): Promise<undefined> {
  const by = `${ask.caller.pid}/${ask.caller.startTime}`;
  if (broker.events.subscribersOf(by) >= STREAMS_PER_PROCESS) throw new BrokerError('too_many_requests', `process ${ask.caller.pid} has ${STREAMS_PER_PROCESS} event streams already`);
  if (broker.events.subscribers >= STREAMS) throw new BrokerError('too_many_requests', `there are ${STREAMS} event streams already`);
  ask.reply.hijack();
  const { raw } = ask.reply;
  const headers = Object.fromEntries(Object.entries(ask.reply.getHeaders()).map(([name, value]) => [name, String(value)]));
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8' });
  raw.write(': open\n\n');
  raw.on('error', (cause) => broker.log.debug('event_stream_failed', { why: cause.message }));
  // By the connection, not by the response: one that waits behind another response has no socket to lose.
  broker.events.subscribe(by, (event) => {
    if (raw.writableLength > UNREAD_BYTES) ask.reply.request.raw.socket.destroy();
    else raw.write(`event: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
  }, ask.gone);
  return undefined;
}
