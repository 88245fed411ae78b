/**
 * What the HTTP parser refuses reaches no route: it is answered here, by hand on the socket, in the form of
 * every other error. Then the connection ends, since nobody knows where the next request would begin.
 */
import { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { BUILD_HEADER, BUILD_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/version.ts';
import { BrokerError } from '../core/errors.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';

export function answerParseFailure(error: Error, socket: Duplex): void {
  if (!socket.writable || owesAnother(socket)) {
    socket.destroy();
    return;
  }
  socket.end(response(failureOf(error)), () => socket.destroy());
}

/**
 * Behind a whole request whose answer is not over yet: what is sent now would be taken for that answer, or for
 * a part of it. There is no public way to the response that a socket is busy with.
 */
function owesAnother(socket: Duplex): boolean {
  const response: unknown = Reflect.get(socket, '_httpMessage');
  return response instanceof ServerResponse && (response.headersSent || response.req.complete);
}

function failureOf(error: Error): BrokerError {
  const code = 'code' in error ? error.code : null;
  if (code === 'HPE_HEADER_OVERFLOW') return new BrokerError('payload_too_large', 'the headers are larger than 16 KiB', { hint: 'Send at most 16 KiB of headers' });
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new BrokerError('bad_request', 'the request was not complete within 5 s');
  return new BrokerError('bad_request', 'this is not HTTP/1.1');
}

function response(error: BrokerError): string {
  const problem = problemOf(error, null);
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${problem.status === 413 ? 'Payload Too Large' : 'Bad Request'}`,
    `content-type: ${PROBLEM_TYPE}`, `content-length: ${Buffer.byteLength(body)}`,
    `${PROTOCOL_HEADER}: ${PROTOCOL_VERSION}`, `${BUILD_HEADER}: ${BUILD_VERSION}`,
    'cache-control: no-store', 'connection: close', '', body,
  ].join('\r\n');
}
