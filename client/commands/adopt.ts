/** `adopt`: what other tools left in plain text; with --fix, one tool is moved to tokens of Valetkey's. */
import { EXIT } from '../../shared/errors.ts';
import { find } from '../adopt/find.ts';
import type { Finding, Found } from '../adopt/find.ts';
import { FINDERS } from '../adopt/finders/index.ts';
import { ageWords, kindWords, modeWords, whatToDo, whose } from '../adopt/words.ts';
import { choice, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { wrap } from '../fold.ts';
import { count } from '../time-words.ts';
import { fixTool } from './adopt-fix.ts';

type Options = { readonly fix?: string; readonly profile?: string };

/** By tool and file: a file with ten tokens has one mode, one age and one thing to do about it. */
function groups(findings: readonly Finding[]): readonly (readonly Finding[])[] {
  const byFile = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.tool, finding.path]);
    byFile.set(key, [...byFile.get(key) ?? [], finding]);
  }
  return [...byFile.values()];
}

function show({ terminal, owner, now }: CommandContext, { findings, skipped }: Found): void {
  const short = (path: string): string => (path.startsWith(`${owner.home}/`) ? `~${path.slice(owner.home.length)}` : path);
  for (const group of groups(findings)) {
    const [first] = group;
    if (first === undefined) continue;
    terminal.line(`${first.tool}: ${short(first.path)}`);
    for (const finding of group) terminal.line(`  ${kindWords(finding.kind)} ${whose(finding)}`.trimEnd());
    terminal.line(`  Mode ${modeWords(first.mode)}; ${ageWords(first, now())}`);
    terminal.line(`  ${whatToDo(first.tool)}`);
  }
  for (const { tool, path, why } of skipped) terminal.warn(`${tool}: ${short(path)} was not looked into: ${why}`);
  if (findings.length > 0) terminal.note(`${count(findings.length, 'secret')} in plain text, in ${count(groups(findings).length, 'file')}. Nothing was changed.`);
  else for (const line of wrap(`Nothing in plain text was found in the files of ${FINDERS.length} tools.`, terminal.columns ?? 80)) terminal.line(line);
}

function asDocument({ findings, skipped }: Found, now: number): unknown {
  return {
    findings: findings.map(({ tool, kind, path, mode, changedMs, issuer, client, account }) => ({
      tool, kind, path, mode: `0${mode.toString(8).padStart(3, '0')}`, age_s: Math.max(0, Math.round(now - changedMs / 1000)), issuer, client_id: client, account, what_to_do: whatToDo(tool),
    })),
    skipped,
  };
}

async function adopt(context: CommandContext, options: Options): Promise<void> {
  if (options.fix !== undefined) {
    await fixTool(context, options.fix, options.profile);
    return;
  }
  const found = await find(FINDERS, context.owner, context.env);
  if (context.terminal.json) context.terminal.document(asDocument(found, context.now()));
  else show(context, found);
  if (found.findings.length > 0) context.endWith(EXIT.config);
}

export const declare: Declare = (command, context) => {
  command
    .addOption(choice('--fix <TOOL>', 'sign in anew, let the tool use that, then end and remove its old token, one step at a time', FINDERS.map(({ tool }) => tool)))
    .option('--profile <PROFILE>', 'with --fix: the profile to sign in with (default: the one of the same issuer)')
    .addHelpText('after', examples('valetkey adopt', 'valetkey adopt --json', 'valetkey adopt --fix kubelogin --profile cluster'))
    .action(async (options: Options) => adopt(context, options));
};
