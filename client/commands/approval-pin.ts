/** `approvals pin`: the PIN is typed at /dev/tty, and is neither argument nor input. */
import { askHidden } from '../ask-hidden.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const DONE = { set: 'The approval PIN is set.', change: 'The approval PIN is changed.', remove: 'The approval PIN is removed: privileged access can no longer be agreed to.' } as const;

export async function approvalPin(context: CommandContext, action: string | undefined): Promise<void> {
  if (action !== 'set' && action !== 'change' && action !== 'remove') throw ValetkeyError.local('bad_request', 'say what to do with the approval PIN: set, change or remove');
  const { terminal, daemon: { api, ensureDaemon }, signal } = context;
  await ensureDaemon(signal);
  const { channels } = await api.approvals(signal);
  // Before anything is typed at a place where it is of no use.
  if (channels.terminal !== null) throw ValetkeyError.local('approval_refused', `this process may not set the approval PIN: it ${channels.terminal}`, { hint: 'Run it at a terminal of your own' });
  if (action === 'set' && channels.pin === 'set') throw ValetkeyError.local('bad_request', 'an approval PIN is set already', { hint: 'Run: valetkey approvals pin change' });
  if (action !== 'set' && channels.pin === 'not_set') throw ValetkeyError.local('bad_request', 'no approval PIN is set', { hint: 'Run: valetkey approvals pin set' });
  const old = action === 'set' ? {} : { old: await askHidden(context, 'Approval PIN so far:') };
  const reply = await api.setApprovalPin({ pin: action === 'remove' ? null : await askTwice(context), ...old }, signal);
  if (terminal.json) terminal.document(reply);
  else terminal.note(DONE[action]);
}

async function askTwice(context: CommandContext): Promise<string> {
  const pin = await askHidden(context, 'New approval PIN:');
  if (await askHidden(context, 'Once more:') !== pin) throw ValetkeyError.local('bad_request', 'the two are not the same; nothing was changed', { hint: 'Run the command again' });
  return pin;
}
