/**
 * `adopt --fix TOOL`: sign in anew, show how the tool uses that, and only then end and remove its old token. Each step
 * is said, each can be the last: until the tool works without its old token, that token stays where it is.
 */
import type { ProfileView } from '../../shared/profile-schemas.ts';
import { commandsFor, endByCommand, endByRemoval, isStillThere } from '../adopt/end-old.ts';
import type { Finder, Fix } from '../adopt/finder.ts';
import { find } from '../adopt/find.ts';
import type { Finding } from '../adopt/find.ts';
import { finderOf, kindWords, whose } from '../adopt/words.ts';
import type { CommandContext } from '../command.ts';
import { subjectName } from '../login-screen.ts';
import { checkProfileName } from '../profile-choice.ts';
import type { Person } from '../tty.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { signInHere } from './login.ts';

/** `left`: the bytes of what was revoked are still in the file, as in what SQLite has freed and not overwritten. */
type Ended = { readonly revoked: boolean; readonly by: Fix['end']['by']; readonly left: boolean };

const KEPT = 'its old token stays where it is';

/** There is no --yes: only a person can see that the tool works without its old token. */
function meetPerson(context: CommandContext): Person {
  const person = context.isInteractive ? context.meetPerson() : null;
  if (person === null) throw ValetkeyError.local('consent_required', 'there is no terminal at which the steps could be confirmed', { hint: 'Run it at a terminal' });
  return person;
}

async function agree({ signal }: CommandContext, person: Person, lines: readonly string[], question: string): Promise<boolean> {
  person.show(['', ...lines]);
  return /^y(es)?$/i.test((await person.ask(`${question} [y/N]`, { signal }))?.trim() ?? '');
}

function hostOf(issuer: string): string {
  return URL.canParse(issuer) ? new URL(issuer).host : issuer;
}

/** The profile that is named, else the only one of the issuer that the old token is of. */
async function chooseProfile({ daemon, signal }: CommandContext, tool: string, findings: readonly Finding[], named: string | undefined): Promise<ProfileView> {
  const name = named === undefined ? null : checkProfileName(named, '--profile');
  const { profiles } = await daemon.api.profiles(signal);
  const issuers = new Set(findings.flatMap(({ issuer }) => (issuer === null ? [] : [hostOf(issuer)])));
  const fitting = profiles.filter((profile) => (name === null ? issuers.has(hostOf(profile.issuer)) : profile.name === name));
  const [profile] = fitting;
  if (profile !== undefined && fitting.length === 1) return profile;
  if (fitting.length > 1) throw ValetkeyError.local('no_profile', `${fitting.length} profiles are of the issuer of ${tool}: ${fitting.map((each) => each.name).join(', ')}`, { hint: `Name one: valetkey adopt --fix ${tool} --profile NAME` });
  if (name !== null) throw ValetkeyError.local('unknown_profile', `there is no profile ${name}; there are: ${profiles.map((each) => each.name).join(', ') || 'none'}`);
  const [issuer = 'URL'] = findings.flatMap((finding) => (finding.issuer !== null && URL.canParse(finding.issuer) ? [finding.issuer] : []));
  throw ValetkeyError.local('no_profile', `no profile is of the issuer of ${tool}`, { hint: `Run: valetkey profile add ${tool} --issuer ${issuer} --client-id ID, then: valetkey adopt --fix ${tool} --profile ${tool}` });
}

/** Somebody who is signed in already need not do it again: the grant works, and the step is done. */
async function signIn(context: CommandContext, profile: ProfileView): Promise<string> {
  const { grants } = await context.daemon.api.grants(context.signal);
  const grant = grants.find((each) => each.profile === profile.name && each.state === 'active' && each.refreshable);
  if (grant !== undefined) return `Signed in already as ${subjectName(grant.subject)}, profile ${profile.name}`;
  const view = await signInHere(context, { profile: profile.name }, true);
  return `Signed in as ${subjectName(view.subject)} at ${view.issuer_host}, profile ${view.profile}`;
}

/**
 * RFC 7009, section 2.1: what else dies with a revoked token is the issuer's choice, and it may be all of the same user
 * and client. So nothing is revoked that was issued to the client of the new sign-in.
 */
function wouldEndBoth(profile: ProfileView, findings: readonly Finding[]): boolean {
  return findings.some(({ client }) => client === profile.client_id);
}

async function endOld({ env, owner, signal }: CommandContext, finder: Finder, { end }: Fix, findings: readonly Finding[]): Promise<Ended> {
  if (end.by === 'hand') return { by: 'hand', revoked: false, left: true };
  const failure = end.by === 'command' ? await endByCommand(end.argv, findings, env, signal) : await endByRemoval(findings, owner.uid);
  signal.throwIfAborted();
  if (failure !== null) throw ValetkeyError.local('adopt_incomplete', `${failure}; ${KEPT}, and the new sign-in is kept, too`, { hint: finder.advice });
  const revoked = end.by === 'command' && end.revokes;
  const left = await isStillThere(finder, owner, env);
  if (left && !revoked) throw ValetkeyError.local('adopt_incomplete', `a secret of ${finder.tool} is still in plain text`, { hint: finder.advice });
  return { by: end.by, revoked, left };
}

function stepThree({ end }: Fix, findings: readonly Finding[]): string {
  if (end.by !== 'command') return end.by === 'removal' ? 'Remove the files' : 'You take the old token out';
  const commands = commandsFor(end.argv, findings) ?? [end.argv];
  return `Run its own sign-out: ${commands.map((words) => words.join(' ')).join('; ')}`;
}

function planOf({ name }: Finder, fix: Fix, profile: ProfileView, findings: readonly Finding[]): readonly string[] {
  return [
    `${name} keeps in plain text:`,
    ...findings.map((finding) => `  ${kindWords(finding.kind)} ${whose(finding)} (${finding.path})`),
    'The steps, each after your word:',
    `  1. Sign in with profile ${profile.name} at ${profile.issuer}`,
    `  2. You let the tool use it: ${fix.use.replaceAll('{profile}', profile.name)}`,
    `  3. ${stepThree(fix, findings)}`,
  ];
}

function tellEnd({ terminal }: CommandContext, finder: Finder, { by, revoked, left }: Ended): void {
  const now = left ? 'what is left in the file is revoked' : `nothing of ${finder.tool} is left in plain text`;
  if (by === 'hand') terminal.line(`3. Left to you: ${finder.advice}`);
  else terminal.line(`3. ${by === 'command' ? 'Signed out by its own command' : 'Removed'}; ${now}`);
  if (by !== 'hand' && !revoked) terminal.warn(`The old token was not revoked: whoever has a copy can use it until it expires. ${finder.advice}`);
}

/** @throws ValetkeyError with the old token in place */
export async function fixTool(context: CommandContext, tool: string, named: string | undefined): Promise<void> {
  const { terminal, owner, env } = context;
  const finder = finderOf(tool);
  if (finder === null || finder.fix === null) throw ValetkeyError.local('bad_request', `${tool} takes no token but its own`, { hint: finder?.advice ?? 'Run: valetkey help adopt' });
  const { findings } = await find([finder], owner, env);
  if (findings.length === 0) {
    if (terminal.json) terminal.document({ tool, steps: [] });
    else terminal.line(`Nothing of ${tool} is in plain text.`);
    return;
  }
  const person = meetPerson(context);
  try {
    const profile = await chooseProfile(context, tool, findings, named);
    if (finder.fix.end.by === 'command' && finder.fix.end.revokes && wouldEndBoth(profile, findings)) {
      throw ValetkeyError.local('adopt_incomplete', `profile ${profile.name} has the client of ${tool} itself: to end the old token could end the new sign-in as well`, { hint: finder.advice });
    }
    if (!await agree(context, person, planOf(finder, finder.fix, profile, findings), 'Begin?')) throw ValetkeyError.local('cancelled', 'nothing was changed');
    const said = (line: string): void => { if (!terminal.json) terminal.line(line); };
    said(`1. ${await signIn(context, profile)}`);
    said(`2. Let it use the new one: ${finder.fix.use.replaceAll('{profile}', profile.name)}`);
    if (!await agree(context, person, ['Try that in another terminal first.'], `Does ${tool} work so, and may its old token go?`)) throw ValetkeyError.local('cancelled', `${KEPT}, and the new sign-in is kept, too`, { hint: `When it works: valetkey adopt --fix ${tool}` });
    const ended = await endOld(context, finder, finder.fix, findings);
    if (terminal.json) terminal.document({ tool, profile: profile.name, use: finder.fix.use.replaceAll('{profile}', profile.name), old_token: { ended_by: ended.by, revoked: ended.revoked } });
    else tellEnd(context, finder, ended);
  } finally {
    person.close();
  }
}
