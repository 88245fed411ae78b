import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CallerFacts, PolicyExplainReply, PolicyExplainRequest } from '../../shared/policy-schemas.ts';
import { choice, collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { parseResource, parseScopeFlags, parseWhole } from '../parse-flags.ts';
import { readDraft } from '../policy-draft.ts';
import { checkProfileName } from '../profile-choice.ts';
import { count } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { learnPolicy } from './policy-learn.ts';
import { testPolicy } from './policy-test.ts';

async function checkPolicy({ terminal, daemon, signal }: CommandContext, file: string | undefined, { admin }: { readonly admin?: true }): Promise<void> {
  const reply = await daemon.api.checkPolicy(file === undefined ? {} : { name: resolve(file), draft: await readDraft(file, admin) }, signal);
  if (terminal.json) terminal.document(reply);
  else if (reply.files.length === 0) terminal.line('There is no policy file; the policy that ships decides.');
  for (const each of terminal.json ? [] : reply.files) terminal.line(`${each.file}: in order, ${count(each.rules, 'rule')}${each.tiers === 0 ? '' : `, ${each.tiers} of tiers`} (${each.source}, SHA-256 ${each.digest.slice(0, 12)}…)`);
}

type ExplainOptions = {
  readonly use?: 'token' | 'fetch';
  readonly profile: string;
  readonly scope?: readonly string[];
  readonly resource?: string;
  readonly caller?: string;
  readonly exe?: string;
  readonly script?: string;
  readonly class?: 'human' | 'agent' | 'workload';
  readonly agent?: string;
  readonly ancestor?: readonly string[];
  readonly draft?: string;
  readonly admin?: true;
};

function callerOf({ exe, script, class: kind, agent, ancestor }: ExplainOptions): CallerFacts | null {
  if ([exe, script, kind, agent, ancestor].every((flag) => flag === undefined)) return null;
  return {
    ...(exe === undefined ? {} : { executable: resolve(exe) }),
    ...(script === undefined ? {} : { script: resolve(script) }),
    ...(kind === undefined ? {} : { class: kind }),
    ...(agent === undefined ? {} : { agent }),
    ...(ancestor === undefined ? {} : { ancestors: [...ancestor] }),
  };
}

async function questionOf(options: ExplainOptions): Promise<PolicyExplainRequest> {
  checkProfileName(options.profile, '--profile');
  const facts = callerOf(options);
  if (facts !== null && options.caller !== undefined) throw ValetkeyError.local('bad_request', '--caller names a process that runs; the flags of one that need not run do not go with it');
  return {
    profile: options.profile,
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.resource === undefined ? {} : { resource: parseResource(options.resource) }),
    ...(options.use === undefined ? {} : { use: options.use }),
    ...(options.caller === undefined ? {} : { pid: parseWhole('--caller', options.caller, { unit: 'a pid', min: 1, max: 4_194_304 }) }),
    ...(facts === null ? {} : { caller: facts }),
    ...(options.draft === undefined ? {} : { draft: await readDraft(options.draft, options.admin) }),
  };
}

function ceilings(reply: PolicyExplainReply): readonly (readonly [string, string])[] {
  const seconds = (name: string, value: number | null): readonly (readonly [string, string])[] => (value === null ? [] : [[name, `${value} s`]]);
  return [
    ...reply.scopes.map((patterns) => ['Scopes within', patterns.join(' ')] as const),
    ...reply.resources.map((patterns) => ['Resource within', patterns.join(' ')] as const),
    ...(reply.flows === null ? [] : [['Signed in by', reply.flows.join(' or ')] as const]),
    ...(reply.acr === null ? [] : [['acr', reply.acr.join(' or ')] as const]),
    ...reply.amr.map((list) => ['amr', list.join(' or ') || '(none counts)'] as const),
    ...seconds('Signed in within', reply.max_age_s),
    ...seconds('Session at most', reply.max_session_s),
    ...seconds('Idle at most', reply.max_idle_s),
    ...seconds('Token life at most', reply.max_token_life_s),
    ...seconds('Left of it at most', reply.max_remaining_s),
  ];
}

async function explainPolicy({ terminal, daemon, signal }: CommandContext, options: ExplainOptions): Promise<void> {
  const reply = await daemon.api.explainPolicy(await questionOf(options), signal);
  if (terminal.json) {
    terminal.document(reply);
    return;
  }
  terminal.facts([
    ['Caller', reply.caller],
    ['Decision', `${reply.decision}${reply.ask === null ? '' : ` (${reply.ask})`}, by rule ${reply.rule}${reply.reason === null ? '' : `: ${reply.reason}`}`],
    ['So now', `${reply.outcome}${reply.detail === null ? '' : `: ${reply.detail}`}`],
    ['Tier', reply.tier],
    ...ceilings(reply),
  ]);
  terminal.line('');
  terminal.table(['RULE', 'OUTCOME', 'WHY'], reply.looked_at.map(({ rule, outcome, why }) => [rule, outcome, why]));
}

function declareExplain(command: Command): Command {
  return command
    .requiredOption('--profile <PROFILE>', 'the profile that is asked for')
    .option('--scope <SCOPE>', 'scope that is asked for; may be repeated (default: those of the sign-in)', collect)
    .option('--resource <URI>', 'resource that is asked for')
    .addOption(choice('--use <USE>', 'what the caller gets: the token, or what an API answers to it', ['token', 'fetch']))
    .option('--caller <PID>', 'a process of yours (default: this command)')
    .option('--exe <PATH>', 'a program that need not run')
    .option('--script <PATH>', 'with --exe: the script that it interprets')
    .addOption(choice('--class <CLASS>', 'with --exe: what kind of caller', ['human', 'agent', 'workload']))
    .option('--agent <NAME>', 'with --exe: the coding agent that it is, or that stands above it')
    .option('--ancestor <NAME>', 'with --exe: name or path of a process above it; may be repeated', collect)
    .option('--draft <FILE>', 'decide as if this file stood in the place of your policy')
    .option('--admin', 'with --draft: in the place of the admin\'s policy');
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey policy check', 'valetkey policy explain --profile work --exe /usr/bin/git'));
  command.command('check [FILE]').description('Check a policy file, or those in their places, and name the line that is wrong')
    .option('--admin', 'FILE is to be the admin\'s')
    .addHelpText('after', examples('valetkey policy check', 'valetkey policy check draft.toml --admin'))
    .action(async (file: string | undefined, options: { readonly admin?: true }) => checkPolicy(context, file, options));
  declareExplain(command.command('explain').description('Show which rule decides on a request, and why not those before it'))
    .addHelpText('after', examples('valetkey policy explain --profile work --caller 4711', 'valetkey policy explain --profile prod --scope admin:users --exe /usr/bin/terraform --class agent'))
    .action(async (options: ExplainOptions) => explainPolicy(context, options));
  command.command('test <FILE>').description('Hold policy to a table of requests and expected decisions')
    .option('--draft <POLICY>', 'decide as if this file stood in the place of your policy')
    .option('--admin', 'with --draft: in the place of the admin\'s policy')
    .addHelpText('after', examples('valetkey policy test cases.toml', 'valetkey policy test cases.toml --draft draft.toml --admin'))
    .action(async (file: string, options: { readonly draft?: string; readonly admin?: true }) => testPolicy(context, file, options));
  command.command('learn').description('Read the audit log, and propose the tightest rules that would have allowed what was used')
    .addHelpText('after', examples('valetkey policy learn > draft.toml', 'valetkey policy check draft.toml --admin'))
    .action(async () => learnPolicy(context));
};
