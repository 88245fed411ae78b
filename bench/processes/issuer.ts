/**
 * The embedded issuer as a process of its own, so that it takes no time from whoever measures. It tells how
 * long it took itself for each token request, from the first byte of its head to the last of the answer.
 */
import { channel } from 'node:diagnostics_channel';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { answerAsks } from './control.ts';

const began = new WeakMap<object, number>();
let tokenMs: number[] = [];

function requestOf(message: unknown): { readonly url: string } | null {
  const request = typeof message === 'object' && message !== null && 'request' in message ? message.request : null;
  if (typeof request !== 'object' || request === null || !('url' in request)) return null;
  return Object.assign(request, { url: String(request.url) });
}

channel('http.server.request.start').subscribe((message) => {
  const request = requestOf(message);
  if (request !== null) began.set(request, performance.now());
});
channel('http.server.response.finish').subscribe((message) => {
  const request = requestOf(message);
  const from = request === null ? undefined : began.get(request);
  if (from !== undefined && request !== null && request.url.endsWith('/token')) tokenMs.push(performance.now() - from);
});

let issuer: EmbeddedIssuer | null = null;

answerAsks({
  start: async (publicOrigin) => {
    issuer = await startIssuer(typeof publicOrigin === 'string' ? { publicOrigin } : {});
    return { url: issuer.url, origin: issuer.origin };
  },
  /** Milliseconds of each token request since it was asked last. */
  tokenMs: () => {
    const taken = tokenMs;
    tokenMs = [];
    return taken;
  },
});
