/** pip and uv, which run a program named `keyring`; the protocol itself is adapters/keyring.ts. */
import { answerKeyring, isIndex } from '../adapters/keyring.ts';
import type { KeyringMode } from '../adapters/keyring.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, tokenFor } from './credential-token.ts';
import type { Named } from './credential-token.ts';

export type KeyringOptions = Named & { readonly mode: KeyringMode };

export async function run(context: CommandContext, operation: string, service: string, name: string | undefined, options: KeyringOptions): Promise<void> {
  // pip stores a password that somebody typed, where they agree: it would be lost, and nobody would know.
  if (operation !== 'get') throw ValetkeyError.local('bad_request', `nothing is kept here but the token of the profile ${options.profile}`, { hint: 'To sign in, run: valetkey login PROFILE' });
  if (!isIndex(service, await originFor(context, options))) {
    context.endWith(1);
    return;
  }
  context.terminal.raw(answerKeyring(options.mode, name ?? options.username, await tokenFor(context, options.profile)));
}
