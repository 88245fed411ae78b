/** pnpm, which runs a program for the Authorization header of a registry; the form of it is adapters/pnpm.ts. */
import { answerPnpm } from '../adapters/pnpm.ts';
import type { CommandContext } from '../command.ts';
import { tokenFor } from './credential-token.ts';
import type { Bound } from './credential-token.ts';

export async function run(context: CommandContext, { profile }: Bound): Promise<void> {
  context.terminal.raw(answerPnpm(await tokenFor(context, profile)));
}
