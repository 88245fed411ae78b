import { auditFiles, readLines } from '../audit/log-files.ts';
import { STALE_S, takeInventory } from '../audit/inventory.ts';
import type { CallerUse, InventoryEntry } from '../audit/inventory.ts';
import { takeWorkloads } from '../audit/workload-inventory.ts';
import type { WorkloadEntry } from '../audit/workload-inventory.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ago, count, remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

function callerWords(uses: readonly CallerUse[], leftOut: number): string {
  const callers = uses.slice(0, 3).map(({ program, agent }) => `${program.split('/').at(-1) ?? program}${agent === null ? '' : ` in ${agent}`}`);
  const more = uses.length + leftOut - callers.length;
  return [...callers, ...(more > 0 ? [`${more} more`] : [])].join(', ') || '-';
}

function rowOf(entry: InventoryEntry, now: number): readonly string[] {
  const flows = Object.entries(entry.flows_used).map(([flow, times]) => `${flow} ${times}`).join(', ');
  return [
    entry.profile,
    entry.state === null ? 'not signed in' : entry.state === 'active' ? 'active' : 'login required',
    flows || entry.flow || '-',
    entry.last_used_at === null ? 'never' : ago(entry.last_used_at, now),
    entry.ends_at === null ? '-' : remaining(entry.ends_at, now),
    callerWords(entry.callers, entry.callers_left_out),
    entry.stale.join('; ') || '-',
  ];
}

function workloadRow(entry: WorkloadEntry, now: number): readonly string[] {
  return [
    entry.profile, entry.owner ?? '-', entry.auth,
    entry.last_used_at === null ? 'never' : ago(entry.last_used_at, now),
    entry.expires_at === null ? '-' : remaining(entry.expires_at, now),
    callerWords(entry.callers, 0),
    entry.stale.join('; ') || '-',
  ];
}

/** `30d`, `12h`. @throws ValetkeyError bad_request */
function secondsOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,4})([hd])$/.exec(text) ?? [];
  const seconds = Number(number) * (unit === 'd' ? 86_400 : 3_600);
  if (!(seconds > 0)) throw ValetkeyError.local('bad_request', `--stale takes a time like 30d or 12h, not ${text}`);
  return seconds;
}

async function inventory({ terminal, daemon, paths, signal, now }: CommandContext, { stale }: { readonly stale?: string }): Promise<void> {
  const staleS = stale === undefined ? STALE_S : secondsOf(stale);
  const [{ grants }, { profiles }, { workloads }] = await Promise.all([daemon.api.grants(signal), daemon.api.profiles(signal), daemon.api.workloads(signal)]);
  const log = async () => readLines(await auditFiles(paths.auditDir));
  const isShown = (entry: { readonly stale: readonly string[] }): boolean => stale === undefined || entry.stale.length > 0;
  const entries = (await takeInventory(grants, profiles, await log(), now(), staleS)).filter(isShown);
  // The log is read once more only where there is something to look for.
  const own = workloads.length === 0 ? [] : (await takeWorkloads(workloads, await log(), now(), staleS)).filter(isShown);
  if (terminal.json) return terminal.document({ taken_at: now(), inventory: entries, workloads: own });
  if (entries.length + own.length === 0) return terminal.note(stale === undefined ? 'There is neither a profile nor a grant.' : 'There is nothing to look at.');
  if (entries.length > 0) terminal.table(['PROFILE', 'STATE', 'FLOWS USED', 'LAST USED', 'ENDS', 'CALLERS', 'LOOK AT'], entries.map((entry) => rowOf(entry, now())));
  if (entries.length > 0 && own.length > 0) terminal.line('');
  if (own.length > 0) terminal.table(['WORKLOAD', 'OWNER', 'PROOF', 'LAST USED', 'EXPIRES', 'CALLERS', 'LOOK AT'], own.map((entry) => workloadRow(entry, now())));
  const look = entries.filter((entry) => entry.stale.length > 0).length;
  if (look > 0) terminal.note(`${count(look, 'grant')} to look at; a grant that nobody needs: valetkey logout PROFILE`);
  const lookOwn = own.filter((entry) => entry.stale.length > 0).length;
  if (lookOwn > 0) terminal.note(`${count(lookOwn, 'workload')} to look at; one that nobody needs: valetkey workload remove PROFILE`);
}

export const declare: Declare = (command, context) => {
  command
    .option('--stale <TIME>', 'only what somebody should look at: unused for so long (30d, 12h), without an owner, ended')
    .addHelpText('after', examples('valetkey inventory', 'valetkey inventory --stale 30d', 'valetkey inventory --json | jq \'.inventory[] | select(.stale != [])\''))
    .action(async (options: { readonly stale?: string }) => inventory(context, options));
};
