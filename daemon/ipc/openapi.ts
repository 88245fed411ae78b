/** OpenAPI 3.1, generated from the schemas that validate. */
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { ERRORS } from '../../shared/errors.ts';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { problem } from '../../shared/schemas.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import { PROBLEM_TYPE } from './problem.ts';

// Brands and custom checks have no JSON Schema of their own; patterns and limits do. The input side is what goes over the wire.
const jsonSchema = (schema: v.GenericSchema): unknown => toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore', target: 'draft-2020-12' });

export function openApi(): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, method] of Object.entries<Method>(METHODS)) {
    paths[method.path] = { ...paths[method.path], [method.verb.toLowerCase()]: operation(name, method) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Valetkey', version: BUILD_VERSION, description: 'HTTP/1.1 with JSON on a Unix socket. Errors are problem documents (RFC 9457).' },
    paths,
    'x-error-codes': Object.keys(ERRORS),
  };
}

/** Of replies that are no JSON. */
const MEDIA: Readonly<Record<string, string>> = { '/v1/events': 'text/event-stream', '/v1/metrics': 'text/plain', '/v1/fetch': '*/*' };

function operation(name: string, method: Method): Record<string, unknown> {
  const parameters = [
    ...[...method.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => ({ name: parameter, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(method.query).map(([parameter, schema]) => ({ name: parameter, in: 'query', required: false, schema: jsonSchema(schema) })),
  ];
  const media = MEDIA[method.path] ?? 'application/json';
  return {
    operationId: name,
    summary: method.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(method.request === null ? {} : { requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(method.request) } } } }),
    responses: {
      200: { description: 'Done', content: { [media]: { schema: jsonSchema(method.reply) } } },
      default: { description: 'A problem', content: { [PROBLEM_TYPE]: { schema: jsonSchema(problem) } } },
    },
  };
}
