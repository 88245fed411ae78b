/**
 * What every helper does, whatever its tool's protocol: says where a token may go, and gets it without asking anybody.
 * A token goes to one origin (MC-03: never to another service), which the person named and not the tool.
 */
import type { TokenReply } from '../../shared/schemas.ts';
import { tokenOrigin } from '../bound-fetch.ts';
import type { CommandContext } from '../command.ts';
import { formatToken } from '../format-token.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type Bound = { readonly profile: string; readonly url?: string };
/** Where a server wants a name beside the token. */
export type Named = Bound & { readonly username: string };

/** What a tool writes is some hundred bytes, and a header of a server's. */
export const INPUT_MAX = 65_536;

/** Where the token may go: nowhere else, whoever asks. */
export async function originFor({ daemon, signal }: CommandContext, { profile, url }: Bound): Promise<string> {
  if (url !== undefined) return parseOrigin(url);
  const found = (await daemon.api.profiles(signal)).profiles.find(({ name }) => name === profile);
  if (found === undefined) throw ValetkeyError.local('unknown_profile', `there is no profile ${profile}`);
  const { resource } = found;
  if (resource === null || !URL.canParse(resource)) throw ValetkeyError.local('bad_request', `the profile ${profile} names no resource, so nothing says where its token may go`, { hint: 'Name it: --url https://git.example.com' });
  return parseOrigin(resource);
}

/** @throws ValetkeyError bad_request for what no token may be sent to */
export function parseOrigin(text: string): string {
  const origin = tokenOrigin(text);
  const hasName = origin !== null && new URL(text).username + new URL(text).password !== '';
  if (origin === null || hasName) {
    throw ValetkeyError.local('bad_request', `a token goes to https:// and loopback only, which ${JSON.stringify(text)} is not`, { hint: 'Name the server: --url https://git.example.com' });
  }
  return origin;
}

export async function tokenFor({ daemon: { api }, signal }: CommandContext, profile: string, force = false): Promise<TokenReply> {
  const reply = await api.token({ profile, interaction: 'never', ...(force ? { force } : {}) }, signal);
  // A line break would be a line of the tool's protocol.
  if (formatToken(reply, 'raw') === null) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
  return reply;
}
