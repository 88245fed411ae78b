/**
 * Says while a token is waited for that a person has to agree first, and by which command. It is looked up only where
 * the answer is late, and whatever goes wrong with that is no matter: the answer itself will say it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandContext } from './command.ts';

/** What the cache or a healthy issuer gives is there by then. */
const LATE_MS = 2_000;

export async function tellingOfQuestion<T>(context: CommandContext, profile: string | undefined, answer: Promise<T>): Promise<T> {
  const done = new AbortController();
  const told = tell(context, profile, done.signal).catch(() => undefined); // the answer itself says what is wrong
  try {
    return await answer;
  } finally {
    done.abort();
    await told;
  }
}

async function tell({ daemon: { api }, terminal }: CommandContext, profile: string | undefined, signal: AbortSignal): Promise<void> {
  await sleep(LATE_MS, null, { signal, ref: false });
  const { pending } = await api.approvals(signal);
  const ours = pending.filter((each) => each.profile === profile);
  const [only] = ours;
  if (signal.aborted || only === undefined) return;
  terminal.note(`Waiting for a person to agree (rule ${only.rule}). Run in another terminal: ${ours.length === 1 ? `valetkey approve ${only.id}` : 'valetkey approvals'}`);
}
