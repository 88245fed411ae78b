/**
 * The command `keyring` as pip and uv run it (pip: "Authentication", keyring support; uv-auth): `get SERVICE NAME` prints
 * a password, `get --mode creds SERVICE` a name and a password, and exit status 1 says that there is none. SERVICE is
 * the URL of the index, or the host of it.
 */
import type { PrintedFacts } from '../format-token.ts';

export type KeyringMode = 'password' | 'creds';

/** An index as pip and uv name it: its URL, of which the path says nothing, or a host with its port. */
export function isIndex(service: string, origin: string): boolean {
  const { host, protocol } = new URL(origin);
  const text = service.includes('://') ? service : `${protocol}//${service}`;
  if (!URL.canParse(text)) return false;
  const asked = new URL(text);
  return asked.host === host && asked.protocol === protocol && asked.password === '';
}

export function answerKeyring(mode: KeyringMode, username: string, token: PrintedFacts): string {
  return mode === 'creds' ? `${username}\n${token.access_token}\n` : `${token.access_token}\n`;
}
