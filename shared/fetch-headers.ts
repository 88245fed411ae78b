/** Headers that any request of POST /v1/fetch may carry; those of an API are named in its profile (`fetch_headers`). */
export const FETCH_HEADERS: ReadonlySet<string> = new Set([
  'accept', 'accept-language', 'content-type', 'content-language', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since',
  'idempotency-key', 'prefer', 'user-agent', 'x-request-id', 'x-correlation-id', 'traceparent', 'tracestate',
]);
