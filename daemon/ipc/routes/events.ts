/** GET /v1/events: server-sent events. A reader that does not read is cut off; nothing is kept for it. */
import { BrokerError } from '../../core/errors.ts';
import type { Ask } from '../app.ts';
import type { Broker } from './broker.ts';

const STREAMS = 32;
const UNREAD_BYTES = 65_536;

export async function events(broker: Broker, ask: Ask): Promise<undefined> {
  if (broker.events.subscribers >= STREAMS) throw new BrokerError('too_many_requests', `there are ${STREAMS} event streams already`);
  ask.reply.hijack();
  const { raw } = ask.reply;
  const headers = Object.fromEntries(Object.entries(ask.reply.getHeaders()).map(([name, value]) => [name, String(value)]));
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8' });
  raw.write(': open\n\n');
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  broker.events.subscribe((event) => {
    if (raw.writableLength > UNREAD_BYTES) raw.destroy();
    else raw.write(`event: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
  }, gone.signal);
  return undefined;
}
