/**
 * Tools that ask a program for what they sign in with: one verb, and a kind for each protocol. Nobody is asked for
 * anything here, since a tool waits; where a person has to sign in, the tool is told so in its own form.
 * What a kind does is loaded when it is called: tools call often.
 */
import type { Command } from 'commander';
import { choice, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import type { AwsOptions } from './credential-aws.ts';
import type { CargoOptions } from './credential-cargo.ts';
import type { KeyringOptions } from './credential-keyring.ts';
import type { Bound, Named } from './credential-token.ts';

/** @param whose - the tool's word for a server */
function kind(command: Command, name: string, description: string, whose: string): Command {
  return command.command(name)
    .description(description)
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .option('--url <URL>', `the only ${whose} that is given one (default: the profile's resource)`);
}

function declareServers(command: Command, context: CommandContext): void {
  kind(command, 'git', 'Speak git\'s credential protocol: git calls this as a credential.helper', 'server')
    .argument('<OPERATION>', 'get, store or erase; others are of no concern, as git wants it')
    .option('--username <NAME>', 'the name beside the token, where git tells none and the server wants a password', 'oauth2')
    .addHelpText('after', examples(
      'git config credential.helper \'!valetkey credential git --profile work\'',
      'echo url=https://git.example.com | git credential fill    # what git is told',
    ))
    .action(async (operation: string, options: Named) => (await import('./credential-git.ts')).run(context, operation, options));
  kind(command, 'kubectl', 'Be a credential plugin of Kubernetes: kubectl calls this as the exec of a user', 'API server')
    .addHelpText('after', examples(
      'kubectl config set-credentials work --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=Never --exec-provide-cluster-info --exec-command="$(command -v valetkey)" --exec-arg=credential --exec-arg=kubectl --exec-arg=--profile=work --exec-arg=--url=https://k8s.example.com:6443',
    ))
    .action(async (options: Bound) => (await import('./credential-kubectl.ts')).run(context, options));
  kind(command, 'docker', 'Be a credential helper of docker, podman and skopeo: as docker-credential-X', 'registry')
    .argument('<OPERATION>', 'get, store, erase or list')
    .option('--username <NAME>', 'the name beside the token', 'oauth2')
    .addHelpText('after', examples('echo registry.example.com | valetkey credential docker --profile work --url https://registry.example.com get'))
    .action(async (operation: string, options: Named) => (await import('./credential-docker.ts')).run(context, operation, options));
  kind(command, 'curl', 'Print a URL and its token for curl --config -', 'server')
    .argument('<ADDRESS>', 'what curl asks for')
    .addHelpText('after', examples('valetkey credential curl --profile work https://api.example.com/things | curl --config - --silent'))
    .action(async (address: string, options: Bound) => (await import('./credential-curl.ts')).run(context, address, options));
  command.command('aws')
    .description('Be a credential_process of the AWS CLI and SDKs: keys of a role, from STS')
    .requiredOption('--profile <PROFILE>', 'whose token is given to STS')
    .requiredOption('--role <ARN>', 'the role whose keys are asked for')
    .option('--url <URL>', 'STS, the only server that is given the token (default: that of AWS)')
    .addHelpText('after', examples('valetkey credential aws --profile aws --role arn:aws:iam::123456789012:role/developer --url https://sts.eu-central-1.amazonaws.com'))
    .action(async (options: AwsOptions) => (await import('./credential-aws.ts')).run(context, options));
}

function declarePackages(command: Command, context: CommandContext): void {
  kind(command, 'keyring', 'Be the keyring program that pip and uv ask for the password of an index', 'index')
    .argument('<OPERATION>', 'get')
    .argument('<SERVICE>', 'the URL or the host of the index')
    .argument('[NAME]', 'whose password')
    .option('--username <NAME>', 'the name beside the token, where none is asked for', 'oauth2')
    .addOption(choice('--mode <MODE>', 'print the name too', ['password', 'creds']).default('password'))
    .addHelpText('after', examples('valetkey credential keyring --profile work --url https://pypi.example.com get https://pypi.example.com/simple oauth2'))
    .action(async (operation: string, service: string, name: string | undefined, options: KeyringOptions) => (await import('./credential-keyring.ts')).run(context, operation, service, name, options));
  kind(command, 'cargo', 'Be a credential provider of cargo, which speaks with it on standard input and output', 'registry')
    .option('--bare', 'without the word Bearer before it, as some registries want it')
    .option('--cargo-plugin', 'what cargo always says; it changes nothing')
    .addHelpText('after', examples('valetkey credential cargo --profile work --url https://crates.example.com'))
    .action(async (options: CargoOptions) => (await import('./credential-cargo.ts')).run(context, options));
  command.command('pnpm')
    .description('Be a token helper of pnpm, by a file of its own, since pnpm gives it no arguments')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .addHelpText('after', examples('valetkey credential pnpm --profile work'))
    .action(async (options: Bound) => (await import('./credential-pnpm.ts')).run(context, options));
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey credential git --help'));
  declareServers(command, context);
  declarePackages(command, context);
};
