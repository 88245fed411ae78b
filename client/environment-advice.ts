/**
 * What this shell's environment would have changed for other tools and does not change for the daemon: it
 * ignores proxy and CA variables, since whoever can set a variable would else choose whom it trusts. The
 * person gets the exact configuration line to accept instead.
 */
import type { Env } from './command.ts';

export type Advice = {
  readonly variable: string;
  /** Line for the profile's table in config.toml. */
  readonly line: string;
  readonly flag: '--proxy' | '--ca-file';
  /** What the line leaves out; empty where it leaves out nothing. */
  readonly caveat: string;
};

/** User and password of a proxy URL are not repeated on the screen, and the daemon takes no such URL. */
function withoutPassword(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/i, (_, scheme: string | undefined) => scheme ?? '');
}

function proxyAdvice(variable: string, text: string): Advice {
  const bare = withoutPassword(text);
  const caveat = bare === text ? '' : ' A proxy that asks for a password is not supported, so user and password are left out.';
  return { variable, line: `proxy = ${JSON.stringify(bare)}`, flag: '--proxy', caveat };
}

export function environmentAdvice(env: Env): readonly Advice[] {
  const proxy = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'].find((name) => (env[name] ?? '') !== '');
  const ca = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'].find((name) => (env[name] ?? '') !== '');
  return [
    ...(proxy === undefined ? [] : [proxyAdvice(proxy, env[proxy] ?? '')]),
    ...(ca === undefined ? [] : [{ variable: ca, line: `ca_file = ${JSON.stringify(env[ca])}`, flag: '--ca-file' as const, caveat: '' }]),
  ];
}
