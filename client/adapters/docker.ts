/**
 * The protocol of docker's credential helpers (docker-credential-helpers, "Development"), which podman, skopeo, buildah
 * and helm speak too: a registry in, JSON out, and a line on standard output in place of it where that fails. A helper
 * answers for one registry alone. The name beside the token is never `<token>`: docker would take what comes for a refresh token.
 */
import { parseJsonObject } from '../../shared/json-object.ts';
import type { PrintedFacts } from '../format-token.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export const DOCKER_OPERATIONS = ['get', 'store', 'erase', 'list'] as const;

/** These very words make docker go on without a name, as for a registry that it was never told of. */
export const NOT_FOUND = 'credentials not found in native keychain\n';

/** A registry as docker names it: a host, with or without https:// before it and a path behind. Docker says of no host whether it speaks TLS. */
export function isRegistry(named: string, origin: string): boolean {
  const { host, protocol } = new URL(origin);
  const text = named.trim();
  const url = text.includes('://') ? text : `${protocol}//${text}`;
  if (!URL.canParse(url)) return false;
  const asked = new URL(url);
  return asked.host === host && asked.protocol === protocol && asked.username === '' && asked.password === '';
}

export function answerDocker(named: string, token: PrintedFacts, username: string): string {
  return `${JSON.stringify({ ServerURL: named.trim(), Username: username, Secret: token.access_token })}\n`;
}

export function listDocker(origin: string, username: string): string {
  return `${JSON.stringify({ [new URL(origin).host]: username })}\n`;
}

/** What `docker login` has tried, and wants kept. @throws ValetkeyError bad_request for what docker never writes */
export function readDockerStore(text: string): { readonly registry: string; readonly username: string } {
  const asked = parseJsonObject(text);
  const [registry, username] = [asked?.['ServerURL'], asked?.['Username']];
  if (typeof registry !== 'string' || typeof username !== 'string') throw ValetkeyError.local('bad_request', 'standard input holds no credentials of docker\'s', { hint: 'docker calls this by itself: see docs/credentials.md' });
  return { registry, username };
}
