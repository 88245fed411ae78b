/**
 * JSON of a place that somebody else named (RFC 9728, section 7.7): over https, from a public address unless more is
 * allowed, no redirect followed, 1 MiB at most. Whatever fails is one error, which says where.
 */
import { parseJsonObject } from '../../shared/json-object.ts';
import type { IssuerConnection } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';
import { refusedUrl } from './address.ts';
import { chain, wireCause } from './causes.ts';
import { AnswerRefused, WireError } from './failures.ts';
import type { Http, HttpAnswer } from './http.ts';
import type { HttpRequest } from './one-request.ts';

export type StrangeCode = 'resource_metadata_invalid' | 'client_document_invalid' | 'registration_refused';

const GET: HttpRequest = { method: 'GET', headers: { accept: 'application/json' }, body: null };

/** @throws BrokerError `code` where it may not be asked, resource_unreachable */
export async function askStranger(http: Http, connection: IssuerConnection, url: string, code: StrangeCode, request: HttpRequest = GET): Promise<HttpAnswer> {
  const why = refusedUrl(url, connection.allowLoopbackHttp);
  if (why !== null) throw new BrokerError(code, `${cleanText(url)} ${why}`);
  try {
    return await http.send(connection, url, request, null);
  } catch (cause) {
    const refused = [cause, ...chain(cause)].find((link) => link instanceof AnswerRefused);
    if (refused instanceof AnswerRefused) throw new BrokerError(code, `${cleanText(url)} is not asked: ${refused.message}`);
    if (cause instanceof WireError) throw new BrokerError('resource_unreachable', `${new URL(url).host} cannot be reached (${wireCause(cause)})`, { reason: wireCause(cause), cause });
    throw cause;
  }
}

/** A 200 of JSON; null: it is not there, or is something else. */
export function objectIn({ status, header, body }: HttpAnswer): Readonly<Record<string, unknown>> | null {
  const isJson = /^application\/(?:[a-z0-9.+-]+\+)?json(?:\s*;|$)/i.test(header('content-type') ?? '');
  return status === 200 && isJson ? parseJsonObject(body) : null;
}

/** A list of strings; null: it is something else. */
export function stringsIn(value: unknown, max: number): readonly string[] | null {
  return Array.isArray(value) && value.length <= max && value.every((each) => typeof each === 'string') ? value : null;
}
