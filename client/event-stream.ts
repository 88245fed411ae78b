/**
 * Reads server-sent events (HTML Living Standard, section 9.2.6) as far as the daemon uses them: `data`
 * lines with JSON, ended by an empty line; comments keep the connection alive.
 */
import type { BrokerEvent } from '../shared/schemas.ts';
import { ValetkeyError } from './valetkey-error.ts';

const EVENT_MAX = 64 * 1024;

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    if (rest.length > EVENT_MAX) throw ValetkeyError.local('protocol_mismatch', `an event is larger than ${EVENT_MAX} characters`);
    yield* lines;
  }
}

export async function* readEvents(chunks: AsyncIterable<string>): AsyncGenerator<BrokerEvent, void, undefined> {
  let data: string[] = [];
  let size = 0;
  for await (const line of linesOf(chunks)) {
    if (line === '') {
      if (data.length > 0) yield parseEvent(data.join('\n'));
      data = [];
      size = 0;
    } else if (line.startsWith('data:')) {
      size += line.length;
      if (size > EVENT_MAX) throw ValetkeyError.local('protocol_mismatch', `an event is larger than ${EVENT_MAX} characters`);
      data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
}

function parseEvent(text: string): BrokerEvent {
  try {
    return JSON.parse(text) as BrokerEvent;
  } catch (cause) {
    throw ValetkeyError.local('protocol_mismatch', 'an event is not JSON', { cause });
  }
}
