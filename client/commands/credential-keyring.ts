/** pip and uv, which run a program named `keyring`; the protocol itself is adapters/keyring.ts. */
import type { Command } from 'commander';
import { answerKeyring, isIndex, KEYRING_MODES } from '../adapters/keyring.ts';
import type { KeyringMode } from '../adapters/keyring.ts';
import { choice, examples } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

type Options = Bound & { readonly username: string; readonly mode: KeyringMode };

async function answer(context: CommandContext, operation: string, service: string, name: string | undefined, options: Options): Promise<void> {
  // pip stores a password that somebody typed, where they agree: it would be lost, and nobody would know.
  if (operation !== 'get') throw ValetkeyError.local('bad_request', `nothing is kept here but the token of the profile ${options.profile}`, { hint: 'To sign in, run: valetkey login PROFILE' });
  if (!isIndex(service, await originFor(context, options))) {
    context.endWith(1);
    return;
  }
  context.terminal.raw(answerKeyring(options.mode, name ?? options.username, await tokenFor(context, options.profile)));
}

export function declareKeyring(command: Command, context: CommandContext): void {
  command.command('keyring')
    .description('Be the keyring program that pip and uv ask for the password of an index')
    .argument('<OPERATION>', 'get')
    .argument('<SERVICE>', 'the URL or the host of the index')
    .argument('[NAME]', 'whose password')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .option('--url <URL>', 'the only index that is given one (default: the profile\'s resource)')
    .option('--username <NAME>', 'the name beside the token, where none is asked for', 'oauth2')
    .addOption(choice('--mode <MODE>', 'print the name too', KEYRING_MODES).default('password'))
    .addHelpText('after', examples('valetkey credential keyring --profile work --url https://pypi.example.com get https://pypi.example.com/simple oauth2'))
    .action((operation: string, service: string, name: string | undefined, options: Options) => answer(context, operation, service, name, options));
}
