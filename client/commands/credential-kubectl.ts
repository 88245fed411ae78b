/** kubectl and every other client of Kubernetes that runs credential plugins; the protocol itself is adapters/kubectl.ts. */
import { answerKubectl, readKubectlAsk } from '../adapters/kubectl.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

export async function run(context: CommandContext, options: Bound): Promise<void> {
  const ask = readKubectlAsk(context.env['KUBERNETES_EXEC_INFO']);
  const origin = await originFor(context, options);
  if (ask.origin !== origin) throw ValetkeyError.local('bad_request', `the token of ${options.profile} is for ${origin}, and not for ${ask.origin}`, { hint: 'See which cluster it is: kubectl config view --minify' });
  context.terminal.raw(answerKubectl(ask, await tokenFor(context, options.profile)));
}
