import * as v from 'valibot';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';

/** Of the last request for a token, which holds no secret: a frame that comes again has the very same body (line/frame.ts). */
let last: { readonly body: unknown; readonly output: unknown } | null = null;

/** The body by the method's schema: nothing coerced, nothing dropped; the error names the place, never the value. */
export function parseBody(method: Method, body: unknown): unknown {
  if (method.request === null) {
    if (body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0)) return null;
    throw new BrokerError('bad_request', `${method.verb} ${method.path} takes no body`);
  }
  if (last !== null && method === METHODS.token && body === last.body) return last.output;
  const result = v.safeParse(method.request, body ?? {}, { abortEarly: true });
  if (result.success) {
    if (method === METHODS.token) last = { body, output: result.output };
    return result.output;
  }
  const [issue] = result.issues;
  const path = cleanText(v.getDotPath(issue) ?? '', 64);
  throw new BrokerError('bad_request', path === '' ? `the body is wrong: ${whatIsWrong(issue)}` : `the body is wrong at ${path}: ${whatIsWrong(issue)}`);
}

function whatIsWrong(issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'strict_object') return issue.expected === 'never' ? 'this key is not known' : 'this key is missing';
  // Only patterns and checks have messages of our own; the library's own would quote the value.
  return issue.type === 'regex' || issue.type === 'check' ? `expected ${issue.message}` : `expected ${issue.expected ?? 'something else'}`;
}
