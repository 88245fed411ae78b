/** curl, which reads what it needs from standard input; the form of it is adapters/curl.ts. */
import { answerCurl } from '../adapters/curl.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, parseOrigin, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

export async function run(context: CommandContext, address: string, options: Bound): Promise<void> {
  const [wanted, origin] = [parseOrigin(address), await originFor(context, options)];
  if (wanted !== origin) throw ValetkeyError.local('bad_request', `the token of ${options.profile} is for ${origin}, and not for ${wanted}`, { hint: `Name a URL of ${origin}` });
  context.terminal.raw(answerCurl(new URL(address), await tokenFor(context, options.profile)));
}
