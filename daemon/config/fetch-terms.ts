/**
 * Where the daemon may use a profile's token for programs that do not get it. Written out, or the origin of the resource;
 * reading alone, unless more is written.
 */
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { FetchTerms } from '../core/resource-port.ts';
import type { Fault } from './fault.ts';
import { endpointProblem } from './urls.ts';

/** Who could set these could be somebody else, send the request elsewhere, or get the answer in a form that hides what is in it. */
const NEVER = /^(?:authorization|cookie2?|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|content-encoding|expect|via|forwarded|range|if-range|accept-encoding|origin|referer|max-forwards|http2-settings|x-forwarded-.*|x-real-ip|x-http-method.*|x-method-override|x-original-.*|x-rewrite-.*|proxy-.*|sec-.*)$/;

export function fetchFault(table: ProfileTable): Fault | null {
  for (const origin of table.fetch_origins ?? []) {
    const problem = endpointProblem(origin, table.allow_loopback_http ?? false);
    if (problem !== null) return { path: ['fetch_origins'], problem: `holds ${JSON.stringify(origin)}, which ${problem}` };
    if (new URL(origin).origin !== origin) return { path: ['fetch_origins'], problem: `holds ${JSON.stringify(origin)}, which is no bare origin such as ${new URL(origin).origin}` };
  }
  const header = table.fetch_headers?.find((name) => NEVER.test(name));
  return header === undefined ? null : { path: ['fetch_headers'], problem: `holds ${header}, which no caller may set` };
}

export function fetchTerms(table: ProfileTable): FetchTerms {
  return {
    origins: table.fetch_origins ?? originOf(table),
    methods: table.fetch_methods ?? ['GET', 'HEAD'],
    headers: table.fetch_headers ?? [],
    allowPrivate: table.fetch_private ?? false,
  };
}

function originOf({ resource, allow_loopback_http: allowLoopbackHttp }: ProfileTable): readonly string[] {
  return resource === undefined || endpointProblem(resource, allowLoopbackHttp ?? false) !== null ? [] : [new URL(resource).origin];
}
