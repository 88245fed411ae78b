/** kubectl and every other client of Kubernetes that runs credential plugins; the protocol itself is adapters/kubectl.ts. */
import type { Command } from 'commander';
import { answerKubectl, readKubectlAsk } from '../adapters/kubectl.ts';
import { examples } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

async function answer(context: CommandContext, options: Bound): Promise<void> {
  const ask = readKubectlAsk(context.env['KUBERNETES_EXEC_INFO']);
  const origin = await originFor(context, options);
  if (ask.origin !== origin) throw ValetkeyError.local('bad_request', `the token of ${options.profile} is for ${origin}, and not for ${ask.origin}`, { hint: 'See which cluster it is: kubectl config view --minify' });
  context.terminal.raw(answerKubectl(ask, await tokenFor(context, options.profile)));
}

export function declareKubectl(command: Command, context: CommandContext): void {
  command.command('kubectl')
    .description('Be a credential plugin of Kubernetes: kubectl calls this as the exec of a user')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .option('--url <URL>', 'the only API server that is given one (default: the profile\'s resource)')
    .addHelpText('after', examples(
      'kubectl config set-credentials work --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=Never --exec-provide-cluster-info --exec-command="$(command -v valetkey)" --exec-arg=credential --exec-arg=kubectl --exec-arg=--profile=work --exec-arg=--url=https://k8s.example.com:6443',
    ))
    .action((options: Bound) => answer(context, options));
}
