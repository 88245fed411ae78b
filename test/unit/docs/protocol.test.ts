import { describe, expect, it } from 'vitest';
import { METHODS } from '../../../shared/methods.ts';
import type { Method } from '../../../shared/methods.ts';
import { problem } from '../../../shared/schemas.ts';
import type { BrokerEvent } from '../../../shared/schemas.ts';
import { brokerEvent } from '../../../shared/schemas.ts';
import { BUILD_HEADER, PROTOCOL_HEADER } from '../../../shared/version.ts';
import { parseLockRecord } from '../../../daemon/platform/lock-record.ts';
import { codeOf, readDocument, rowsOf, sectionOf } from './markdown.ts';
import { NAMED, schemaRows } from './schema-rows.ts';

const TEXT = readDocument('docs/protocol.md');
const methods = Object.values<Method>(METHODS);
const titleOf = ({ verb, path }: Method): string => `${verb} ${path}`;

/** Before and from the line "Reply" on; a method without a request has its reply's table alone. */
function parts(method: Method): { readonly request: string; readonly reply: string } {
  const text = sectionOf(TEXT, titleOf(method));
  if (method.request === null) return { request: '', reply: text };
  const at = text.search(/^Reply:/m);
  expect(at, titleOf(method)).toBeGreaterThan(0);
  return { request: text.slice(0, at), reply: text.slice(at) };
}

/** Rows of the tables whose first column is a key. */
const keyRows = (text: string): readonly (readonly string[])[] => rowsOf(text).filter(([key]) => codeOf(key) !== '');

describe('docs/protocol.md', () => {
  it('lists every method, with the time that it takes at most', () => {
    const stated = rowsOf(sectionOf(TEXT, 'Methods')).filter(([verb]) => /^[A-Z]+$/.test(verb ?? '')).map(([verb, path, within]) => `${verb} ${codeOf(path)} ${within}`);
    // The stream of events has no end.
    expect(stated.toSorted()).toEqual(methods.map((m) => `${titleOf(m)} ${m.path === '/v1/events' ? '' : `${m.timeoutMs / 1000} s`}`).toSorted());
  });

  it.each(methods.filter(({ request }) => request !== null).map((method) => [titleOf(method), method] as const))('has each key of the request of %s, its type, and whether it is required', (_, method) => {
    const stated = keyRows(parts(method).request).map(([key, type, fallback]) => ({ key: codeOf(key), type, required: fallback === 'required' }));
    expect(stated).toEqual(schemaRows(method.request));
  });

  it.each(methods.filter(({ path }) => path !== '/v1/openapi.json' && path !== '/v1/metrics' && path !== '/v1/fetch').map((method) => [titleOf(method), method] as const))('has each key of the reply of %s', (_, method) => {
    const name = NAMED.get(method.reply);
    if (name !== undefined) return expect(parts(method).reply).toContain(`Reply: a [${name}](#${name.toLowerCase()}).`);
    const stated = keyRows(parts(method).reply).slice(0, schemaRows(method.reply).length).map(([key, type]) => ({ key: codeOf(key), type }));
    expect(stated).toEqual(schemaRows(method.reply).map(({ key, type }) => ({ key, type })));
  });

  it.each([...[...NAMED].map(([schema, name]) => [name, schema] as const), ['Problem documents', problem] as const])('has each key of the object %s', (heading, schema) => {
    const stated = keyRows(sectionOf(TEXT, heading)).map(([key, type]) => ({ key: codeOf(key), type }));
    expect(stated).toEqual(schemaRows(schema).map(({ key, type, required }) => ({ key, type: required ? type : `${type}, optional` })));
  });

  it('says when each event comes', () => {
    const events: readonly BrokerEvent['event'][] = brokerEvent.entries.event.options;
    const stated = keyRows(sectionOf(TEXT, 'GET /v1/events')).map(([key]) => codeOf(key)).slice(Object.keys(brokerEvent.entries).length);
    expect(stated).toEqual(events);
  });

  it('lists every method of the line dialect, and what of it is a parameter', () => {
    const stated = rowsOf(sectionOf(TEXT, 'A request')).filter(([, path]) => /^(GET|POST|DELETE) /.test(path ?? '')).map(([type, path, parameters]) => [codeOf(type), path?.replaceAll('`', ''), (parameters ?? '').replaceAll('`', '')]);
    expect(stated).toEqual(Object.entries<Method>(METHODS).map(([name, m]) => [name, titleOf(m), [...[...m.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter), ...Object.keys(m.query)].join(', ')]));
  });

  it('shows a frame with its members in their order', () => {
    const [request = '', reply = ''] = [...sectionOf(TEXT, 'Frames').matchAll(/^```text\n(.*)\n```$/gm)].map(([, line]) => line);
    expect(Object.keys(JSON.parse(request))).toEqual(keyRows(sectionOf(TEXT, 'A request')).map(([key]) => codeOf(key)).slice(0, 4));
    expect(Object.keys(JSON.parse(reply))).toEqual(keyRows(sectionOf(TEXT, 'An answer')).map(([key]) => codeOf(key)));
  });

  it('has each key of the lock record', () => {
    const whole = parseLockRecord(JSON.stringify({ v: 1, pid: 1, socket: '/s', version: '1', protocol: 1, started_at: 1 }), '/lock');
    expect(keyRows(sectionOf(TEXT, 'The lock record')).map(([key]) => codeOf(key))).toEqual(Object.keys(whole ?? {}));
  });

  it('names the headers of a reply', () => {
    expect(sectionOf(TEXT, 'Replies and versions')).toContain(`\`${PROTOCOL_HEADER}\``);
    expect(sectionOf(TEXT, 'Replies and versions')).toContain(`\`${BUILD_HEADER}\``);
  });
});
