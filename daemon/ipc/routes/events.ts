/** GET /v1/events: what happens, from now on. Nothing is kept for a reader that does not read. */
import { BrokerError } from '../../core/errors.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';

const STREAMS = 32;
/** No process takes them all. */
const STREAMS_PER_PROCESS = 8;

export function events(broker: Broker, ask: Ask): undefined {
  const by = `${ask.caller.pid}/${ask.caller.startTime}`;
  if (broker.events.subscribersOf(by) >= STREAMS_PER_PROCESS) throw new BrokerError('too_many_requests', `process ${ask.caller.pid} has ${STREAMS_PER_PROCESS} event streams already`);
  if (broker.events.subscribers >= STREAMS) throw new BrokerError('too_many_requests', `there are ${STREAMS} event streams already`);
  const sink = ask.openStream();
  broker.events.subscribe(by, (event) => sink.send(event), ask.gone);
  return undefined;
}
