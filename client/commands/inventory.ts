import { auditFiles, readLines } from '../audit/log-files.ts';
import { takeInventory } from '../audit/inventory.ts';
import type { InventoryEntry } from '../audit/inventory.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ago, count, remaining } from '../time-words.ts';

function rowOf(entry: InventoryEntry, now: number): readonly string[] {
  const flows = Object.entries(entry.flows_used).map(([flow, times]) => `${flow} ${times}`).join(', ');
  const callers = entry.callers.slice(0, 3).map(({ program, agent }) => `${program.split('/').at(-1) ?? program}${agent === null ? '' : ` in ${agent}`}`);
  const more = entry.callers.length + entry.callers_left_out - callers.length;
  return [
    entry.profile,
    entry.state === null ? 'not signed in' : entry.state === 'active' ? 'active' : 'login required',
    flows || entry.flow || '-',
    entry.last_used_at === null ? 'never' : ago(entry.last_used_at, now),
    entry.ends_at === null ? '-' : remaining(entry.ends_at, now),
    [...callers, ...(more > 0 ? [`${more} more`] : [])].join(', ') || '-',
    entry.stale.join('; ') || '-',
  ];
}

async function inventory({ terminal, daemon, paths, signal, now }: CommandContext): Promise<void> {
  const [{ grants }, { profiles }] = await Promise.all([daemon.api.grants(signal), daemon.api.profiles(signal)]);
  const entries = await takeInventory(grants, profiles, readLines(await auditFiles(paths.auditDir)), now());
  if (terminal.json) return terminal.document({ taken_at: now(), inventory: entries });
  if (entries.length === 0) return terminal.note('There is neither a profile nor a grant.');
  terminal.table(['PROFILE', 'STATE', 'FLOWS USED', 'LAST USED', 'ENDS', 'CALLERS', 'LOOK AT'], entries.map((entry) => rowOf(entry, now())));
  const stale = entries.filter((entry) => entry.stale.length > 0).length;
  if (stale > 0) terminal.note(`${count(stale, 'grant')} to look at; a grant that nobody needs: valetkey logout PROFILE`);
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey inventory', 'valetkey inventory --json | jq \'.inventory[] | select(.stale != [])\''))
    .action(async () => inventory(context));
};
