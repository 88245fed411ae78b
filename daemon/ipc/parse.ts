import * as v from 'valibot';
import type { Method } from '../../shared/methods.ts';
import { BrokerError } from '../core/errors.ts';

/** The body by the method's schema: nothing coerced, nothing dropped; the error names the place, never the value. */
export function parseBody(method: Method, body: unknown): unknown {
  if (method.request === null) {
    if (body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0)) return null;
    throw new BrokerError('bad_request', `${method.verb} ${method.path} takes no body`);
  }
  const result = v.safeParse(method.request, body ?? {}, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  const what = issue.type === 'strict_object' ? 'a key that is not allowed, or one is missing' : `expected ${issue.expected ?? 'something else'}`;
  throw new BrokerError('bad_request', `the body is wrong${path === '' ? '' : ` at ${path.slice(0, 64)}`}: ${what}`);
}
