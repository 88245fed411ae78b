/** Who can be asked for a token on a socket, and how. */
import { TOKEN_BODY, TOKEN_LINE } from './asking.ts';
import type { Bench } from './bench.ts';
import type { Contestant } from './contest.ts';

export const OURS_LINE = 'line dialect';
export const OURS_HTTP = 'HTTP';
export const OIDC_OWN = "oidc-agent's own";
export const OIDC_PLAIN = 'oidc-agent, plain JSON';
export const BARE_LINE = 'bare node:net';
export const BARE_FASTIFY = 'bare fastify';

export function ours({ broker }: Bench): readonly Contestant[] {
  return [
    ...(broker.lines === 'spoken' ? [{ name: OURS_LINE, socket: broker.socket, dialect: 'line', data: TOKEN_LINE } as const] : []),
    { name: OURS_HTTP, socket: broker.socket, dialect: 'http', data: TOKEN_BODY },
  ];
}

/** By lines where they are spoken. */
export function oursBest(bench: Bench): Contestant {
  const [best] = ours(bench);
  if (best === undefined) throw new Error('HTTP is always spoken');
  return best;
}

export function oidcAgent({ peers: { oidcAgent: agent } }: Bench): readonly Contestant[] {
  return agent === null ? [] : [
    { name: OIDC_OWN, socket: agent.socket, dialect: 'oidc', data: agent.cached },
    { name: OIDC_PLAIN, socket: agent.socket, dialect: 'json', data: agent.cached },
  ];
}

export function bareLine({ bare }: Bench): Contestant {
  return { name: BARE_LINE, socket: bare.line, dialect: 'line', data: TOKEN_LINE };
}

export function bareFastify({ bare }: Bench): Contestant {
  return { name: BARE_FASTIFY, socket: bare.fastify, dialect: 'http', data: TOKEN_BODY };
}
