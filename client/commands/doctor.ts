import { EXIT } from '../../shared/errors.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { makeBundle, writeBundle } from '../doctor/bundle.ts';
import { diagnose } from '../doctor/diagnose.ts';
import { gatherFacts } from '../doctor/facts.ts';
import { showFindings } from '../doctor/show.ts';

async function doctor(context: CommandContext, { bundle }: { readonly bundle?: string }): Promise<void> {
  const { terminal } = context;
  const facts = await gatherFacts(context);
  const findings = diagnose(facts);
  if (bundle !== undefined) writeBundle(bundle, makeBundle(facts, findings));
  if (terminal.json) terminal.document({ findings });
  else showFindings(terminal, findings);
  if (bundle !== undefined) terminal.tell(`${bundle} was written, for you alone to read. It holds no token, and names your issuers and profiles: read it before you hand it on.`);
  if (findings.some(({ level }) => level === 'error')) context.endWith(EXIT.config);
}

export const declare: Declare = (command, context) => {
  command
    .option('--bundle <FILE>', 'write a new file for a bug report: findings, versions, state; no token, no name of yours')
    .addHelpText('after', examples('valetkey doctor', 'valetkey doctor --json', 'valetkey doctor --quiet    # only what is wrong', 'valetkey doctor --bundle report.json'))
    .action(async (options: { readonly bundle?: string }) => doctor(context, options));
};
