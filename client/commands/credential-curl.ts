/** curl, which reads what it needs from standard input; the form of it is adapters/curl.ts. */
import type { Command } from 'commander';
import { answerCurl } from '../adapters/curl.ts';
import { examples } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, parseOrigin, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

async function answer(context: CommandContext, address: string, options: Bound): Promise<void> {
  const [wanted, origin] = [parseOrigin(address), await originFor(context, options)];
  if (wanted !== origin) throw ValetkeyError.local('bad_request', `the token of ${options.profile} is for ${origin}, and not for ${wanted}`, { hint: `Name a URL of ${origin}` });
  context.terminal.raw(answerCurl(new URL(address), await tokenFor(context, options.profile)));
}

export function declareCurl(command: Command, context: CommandContext): void {
  command.command('curl')
    .description('Print a URL and its token for curl --config -')
    .argument('<ADDRESS>', 'what curl asks for')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .option('--url <URL>', 'the only server that is given one (default: the profile\'s resource)')
    .addHelpText('after', examples('valetkey credential curl --profile work https://api.example.com/things | curl --config - --silent'))
    .action((address: string, options: Bound) => answer(context, address, options));
}
