/** pnpm, which runs a program for the Authorization header of a registry; the form of it is adapters/pnpm.ts. */
import type { Command } from 'commander';
import { answerPnpm } from '../adapters/pnpm.ts';
import { examples } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { tokenFor } from './credential-token.ts';

export function declarePnpm(command: Command, context: CommandContext): void {
  command.command('pnpm')
    .description('Be a token helper of pnpm, by a file of its own, since pnpm gives it no arguments')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .addHelpText('after', examples('valetkey credential pnpm --profile work'))
    .action(async ({ profile }: { readonly profile: string }) => context.terminal.raw(answerPnpm(await tokenFor(context, profile))));
}
