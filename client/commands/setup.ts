/**
 * Writes what docs/credentials.md tells people to paste: shows it first, writes after a person's word or --yes, and takes
 * out exactly that again. No token is asked for, and none is written anywhere.
 */
import { readFileSync } from 'node:fs';
import { Argument } from 'commander';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { findProgram } from '../find-program.ts';
import { pickProfile } from '../pick-profile.ts';
import { checkProfileName } from '../profile-choice.ts';
import { apply, conflict, plan } from '../setup/edit.ts';
import type { Planned } from '../setup/edit.ts';
import { execOf, findKubectl, runKubectl, setCredentials, wantedExec } from '../setup/kubectl.ts';
import { demandPlain } from '../setup/tool.ts';
import type { Ask, Place, Tool } from '../setup/tool.ts';
import { profilesOf, TOOLS } from '../setup/tools.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { originFor, parseOrigin } from './credential-token.ts';

type Options = { readonly profile?: string; readonly url?: string; readonly role?: string; readonly undo?: boolean; readonly yes?: boolean };

/** What is shown, and done after that. */
type Step = { readonly at: string; readonly gone: boolean; readonly shows: readonly string[]; readonly file: string; do(): Promise<void> | void };

const NAMES = [...TOOLS.map(({ name }) => name), 'kubectl'];
const STS = 'https://sts.amazonaws.com';

function placeOf({ env, owner }: CommandContext): Place {
  // Where the tools look, and not where the user database says: files of another user are refused one by one.
  return { env, home: env['HOME']?.startsWith('/') === true ? env['HOME'] : owner.home };
}

/** One spelling, by which it is found again. */
function spelled(url: string): string {
  parseOrigin(url);
  const { origin, pathname, search, hash } = new URL(url);
  if (search !== '' || hash !== '') throw ValetkeyError.local('bad_request', `${JSON.stringify(url)} has more than the address of a server`);
  return pathname === '/' ? origin : `${origin}${pathname}`;
}

async function askOf(context: CommandContext, tool: string, options: Options): Promise<Ask> {
  const { profile } = await pickProfile(context, options.profile);
  const { profiles } = await context.daemon.api.profiles(context.signal);
  if (!profiles.some(({ name }) => name === profile)) throw ValetkeyError.local('unknown_profile', `there is no profile ${profile}`);
  if (options.role !== undefined && tool !== 'aws') throw ValetkeyError.local('bad_request', '--role is of aws');
  const named = options.url ?? (tool === 'aws' ? STS : undefined);
  const url = named ?? profiles.find(({ name }) => name === profile)?.resource ?? undefined;
  const origin = await originFor(context, { profile, ...(named === undefined ? {} : { url: named }) });
  const place = placeOf(context);
  const valetkey = findProgram('valetkey', context.env['PATH'], context.cwd);
  for (const path of [valetkey, place.home]) demandPlain(path);
  return { ...place, profile, url: spelled(url ?? origin), origin, role: options.role ?? null, valetkey };
}

const stepOf = (uid: number, planned: Planned, gone: boolean): Step => ({
  at: planned.file === planned.edit.path ? planned.file : `${planned.edit.path}, which is ${planned.file}`,
  gone, shows: planned.edit.shows, file: planned.file, do: () => apply(planned, uid),
});

async function kubectlSteps(context: CommandContext, profile: string, ask: Ask | null): Promise<readonly Step[]> {
  const kubectl = findKubectl(placeOf(context), context.cwd, context.signal);
  const now = await execOf(kubectl, profile);
  if (now === 'other') throw conflict(`the kubeconfig has a user ${profile} who signs in otherwise`, 'See: kubectl config view');
  const args = ask === null ? ['config', 'unset', `users.${profile}`] : setCredentials(ask);
  if (ask === null ? now === null : now?.join('\n') === wantedExec(ask).join('\n')) return [];
  return [{ at: 'the kubeconfig, by kubectl', gone: ask === null, shows: [['kubectl', ...args].join(' ')], file: kubectl.file, do: async () => void await runKubectl(kubectl, args) }];
}

async function agreed({ isInteractive, meetPerson, signal }: CommandContext, question: string): Promise<boolean> {
  const person = isInteractive ? meetPerson() : null;
  if (person === null) throw ValetkeyError.local('consent_required', 'nothing was written: there is no terminal at which somebody could agree', { hint: 'If it is as it should be, run it with --yes' });
  try {
    return /^y(es)?$/i.test((await person.ask(`${question} [y/N]`, { signal }))?.trim() ?? '');
  } finally {
    person.close();
  }
}

async function carryOut(context: CommandContext, steps: readonly Step[], { yes = false, undo = false }: Options): Promise<void> {
  const { terminal } = context;
  for (const { at, gone, shows } of terminal.json ? [] : steps) {
    terminal.tell(`${gone ? 'Takes out of' : 'Writes to'} ${at}:`);
    for (const line of shows) terminal.tell(`  ${gone ? '-' : '+'} ${line.replaceAll('\t', '  ')}`);
  }
  if (!yes && !await agreed(context, undo ? 'Take it out?' : 'Write it?')) throw ValetkeyError.local('cancelled', 'nothing was changed');
  for (const step of steps) await step.do();
}

async function setUp(context: CommandContext, name: string, options: Options): Promise<void> {
  const { terminal, owner: { uid } } = context;
  const tool = TOOLS.find((each) => each.name === name);
  const ask = await askOf(context, name, options);
  const steps = tool === undefined ? await kubectlSteps(context, ask.profile, ask) : tool.edits(ask).flatMap((edit) => plan(edit, uid) ?? []).map((planned) => stepOf(uid, planned, false));
  if (steps.length > 0) await carryOut(context, steps, options);
  const next = tool?.next(ask) ?? [`Let a context use it: kubectl config set-context --current --user=${ask.profile}`];
  const undo = `valetkey setup ${name} --profile ${ask.profile} --undo`;
  if (terminal.json) return terminal.document({ tool: name, profile: ask.profile, url: ask.url, changed: steps.map(({ file }) => file), next, undo });
  terminal.note(steps.length === 0 ? `${name} asks Valetkey already.` : `${name} asks Valetkey for ${ask.profile} at ${ask.url}.`);
  for (const line of next) terminal.tell(line);
  terminal.note(`To undo this: ${undo}`);
}

/** Needs no daemon: the profile may be gone. */
async function takeOut(context: CommandContext, name: string, options: Options): Promise<void> {
  const { terminal, owner: { uid } } = context;
  if (options.profile === undefined) throw ValetkeyError.local('no_profile', 'the profile that is to be taken out is not named', { hint: `Name it: valetkey setup ${name} --profile NAME --undo` });
  const profile = checkProfileName(options.profile, '--profile');
  const [url, origin] = options.url === undefined ? [null, null] : [spelled(options.url), parseOrigin(options.url)];
  const tool = TOOLS.find((each) => each.name === name);
  const steps = tool === undefined ? await kubectlSteps(context, profile, null) : tool.undo({ ...placeOf(context), profile, url, origin }).flatMap((edit) => plan(edit, uid) ?? []).map((planned) => stepOf(uid, planned, true));
  if (steps.length > 0) await carryOut(context, steps, options);
  if (terminal.json) return terminal.document({ tool: name, profile, changed: steps.map(({ file }) => file) });
  terminal.note(steps.length === 0 ? `Nothing of ${profile} is set up for ${name}.` : `${name} does not ask Valetkey for ${profile} any more.`);
}

function textAt(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause) return null; // not there, or not for us to read
    throw cause;
  }
}

function isInstalled({ env, cwd }: CommandContext, program: string): boolean {
  try {
    return findProgram(program, env['PATH'], cwd) !== '';
  } catch (error) {
    if (error instanceof ValetkeyError) return false;
    throw error;
  }
}

function list(context: CommandContext): void {
  const { terminal } = context;
  const rows = TOOLS.map((tool: Tool) => ({ tool: tool.name, installed: isInstalled(context, tool.program), profiles: profilesOf(tool, placeOf(context), textAt) as readonly string[] | null }));
  // Only kubectl reads its files, and starting it takes longer than people wait for a list.
  const all = [...rows, { tool: 'kubectl', installed: isInstalled(context, 'kubectl'), profiles: null }];
  if (terminal.json) return terminal.document({ tools: all });
  terminal.table(['TOOL', 'INSTALLED', 'SET UP FOR'], all.map(({ tool, installed, profiles }) => [tool, installed ? 'yes' : 'no', profiles === null ? 'see: kubectl config view' : profiles.join(', ') || '-']));
}

export const declare: Declare = (command, context) => {
  command
    .addArgument(new Argument('[TOOL]', 'what is set up; without it: which tools there are').choices(NAMES))
    .option('--profile <PROFILE>', 'whose token it gets')
    .option('--url <URL>', 'the only server that is given one (default: the profile\'s resource; for aws, STS)')
    .option('--role <ARN>', 'with aws: the role whose keys are asked for')
    .option('--undo', 'take out what was written')
    .option('-y, --yes', 'without asking')
    .addHelpText('after', examples(
      'valetkey setup',
      'valetkey setup git --profile work --url https://git.example.com',
      'valetkey setup git --profile work --undo',
    ))
    .action(async (tool: string | undefined, options: Options) => {
      if (tool === undefined) return list(context);
      return options.undo === true ? takeOut(context, tool, options) : setUp(context, tool, options);
    });
};
