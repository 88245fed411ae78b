import { Argument } from 'commander';
import type { ActiveApproval, ApprovalsReply, PendingApproval } from '../../shared/approval-schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ago, count, duration, remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { approvalPin } from './approval-pin.ts';

export const BINDING_WORDS: Readonly<Record<ActiveApproval['binding'], string>> = {
  program: 'this program, wherever it runs', session: 'this program, in its terminal', run: 'this run of the program',
};

/** What is said of a consent that is gone with the daemon, whatever its time. */
export const NOT_KEPT = ' It ends with the daemon at the latest.';

const OUTLASTS_WORDS: Readonly<Record<NonNullable<ActiveApproval['outlasts']>, string>> = { daemon: 'the daemon', reboot: 'a reboot' };

export function wishWords({ scopes, resource }: Pick<PendingApproval, 'scopes' | 'resource'>): string {
  return `${scopes === null ? 'its usual scopes' : scopes.join(' ')}${resource === null ? '' : ` for ${resource}`}`;
}

/** All that a person has to know before they say yes. */
export function pendingFacts(pending: PendingApproval, now: number): readonly (readonly [string, string])[] {
  const { executable, script, agent, lineage, claimed, use } = pending;
  return [
    ['Question', pending.id],
    ['Program', pending.caller],
    ['File', [executable ?? '(not known)', ...(script === null ? [] : [script])].join(' ')],
    ...(agent === null ? [] : [['Agent', agent] as const]),
    ['Started by', lineage.length === 0 ? '(nothing)' : lineage.join(' < ')],
    ['Wants', `${pending.profile}: ${wishWords(pending)}`],
    ...(use === 'token' ? [] : [['Gets', 'what the API answers, and not the token'] as const]),
    ...(claimed === null ? [] : [['Says', [claimed.name, claimed.reason].filter((word) => word !== null).join(': ')] as const]),
    ['Rule', pending.rule],
    ...(pending.pin_needed ? [['Needs', 'the approval PIN'] as const] : []),
    ['A yes holds', pending.may_hold_s === null ? 'for this request' : `at most ${duration(pending.may_hold_s)}`],
    ['Asked', `${ago(pending.asked_at, now)}, open ${remaining(pending.expires_at, now)}`],
  ];
}

function show({ terminal, now }: CommandContext, { pending, active, channels }: ApprovalsReply, onlyActive: boolean): void {
  if (!onlyActive) {
    for (const each of pending) {
      terminal.facts(pendingFacts(each, now()));
      terminal.line(`Run: valetkey approve ${each.id}   or: valetkey approve ${each.id} --deny`);
      terminal.line('');
    }
    if (pending.length === 0) terminal.note('Nothing waits for your word.');
    else if (channels.terminal !== null) terminal.note(`A yes is not taken from here: this process ${channels.terminal}.`);
  }
  if (active.length > 0) {
    terminal.table(['ID', 'PROGRAM', 'MAY USE', 'AS', 'ENDS', 'OUTLASTS'], active.map((each) => [
      each.id, each.caller, `${each.profile}: ${wishWords(each)}`, BINDING_WORDS[each.binding], each.expires_at === null ? 'with its next request' : remaining(each.expires_at, now()).replace(/^for /, 'in '),
      each.outlasts === null ? 'nothing' : OUTLASTS_WORDS[each.outlasts],
    ]));
  } else if (onlyActive) terminal.note('You agreed to nothing that still holds.');
}

async function revoke({ terminal, runningDaemon: { api }, signal }: CommandContext, id: string | undefined, all: boolean): Promise<void> {
  if (all) {
    if (id !== undefined) throw ValetkeyError.local('bad_request', 'give the id of a consent, or --all');
    const reply = await api.revokeApprovals(signal);
    if (terminal.json) terminal.document(reply);
    else terminal.note(reply.revoked.length === 0 ? 'You agreed to nothing that still holds.' : `${count(reply.revoked.length, 'consent')} taken back. Tokens that are out live on until they expire.`);
    return;
  }
  if (id === undefined) throw ValetkeyError.local('bad_request', 'name the consent to take back', { hint: 'Run: valetkey approvals --active' });
  const reply = await api.revokeApproval(id, signal);
  if (terminal.json) terminal.document(reply);
  else terminal.note('Taken back. Tokens that are out live on until they expire.');
}

export const declare: Declare = (command, context) => {
  command
    .addArgument(new Argument('[ACTION]', 'revoke: take a consent back; pin: set, change or remove the approval PIN').choices(['revoke', 'pin']))
    .argument('[WHICH]', 'the id of the consent; or set, change, remove')
    .option('--active', 'only what was agreed to')
    .option('--all', 'with revoke: all of them')
    .addHelpText('after', examples('valetkey approvals', 'valetkey approvals --active', 'valetkey approvals revoke ID', 'valetkey approvals revoke --all', 'valetkey approvals pin set'))
    .action(async (action: 'revoke' | 'pin' | undefined, which: string | undefined, { active = false, all = false }: { active?: boolean; all?: boolean }) => {
      if (action === 'revoke') return revoke(context, which, all);
      if (action === 'pin') return approvalPin(context, which);
      const reply = await context.runningDaemon.api.approvals(context.signal);
      if (context.terminal.json) context.terminal.document(active ? { active: reply.active } : reply);
      else show(context, reply, active);
    });
};
