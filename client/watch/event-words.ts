/** An event in words, for the live view and for a line of its own. Whoever shows it cleans it. */
import type { BrokerEvent } from '../../shared/schemas.ts';
import { timeWords } from '../audit/record-words.ts';
import type { Style } from './lines.ts';

type Words = { readonly word: string; readonly style: Style | null };

/** One that is not here comes from a newer daemon, and is shown under its own name. */
const WORDS: Readonly<Partial<Record<string, Words>>> = {
  login_started: { word: 'sign-in began', style: null },
  login_finished: { word: 'sign-in ended', style: null },
  login_needed: { word: 'sign-in needed', style: 'yellow' },
  session_ending: { word: 'ends soon', style: 'yellow' },
  token_refreshed: { word: 'refreshed', style: 'dim' },
  token_released: { word: 'token', style: null },
  token_refused: { word: 'refused', style: 'red' },
  refresh_failed: { word: 'refresh failed', style: 'red' },
  grant_changed: { word: 'grant saved', style: 'dim' },
  grant_removed: { word: 'signed out', style: null },
  grant_parked: { word: 'sign-in over', style: 'yellow' },
  approval_asked: { word: 'question', style: 'yellow' },
  approval_answered: { word: 'answered', style: null },
  config_reloaded: { word: 'reloaded', style: 'dim' },
  locked: { word: 'locked', style: 'yellow' },
  unlocked: { word: 'unlocked', style: null },
  locked_out: { word: 'panic', style: 'red' },
  session_locked: { word: 'screen locked', style: 'dim' },
  session_unlocked: { word: 'screen open', style: 'dim' },
  peer_refused: { word: 'peer refused', style: 'red' },
  detected: { word: 'detected', style: 'red' },
  stopping: { word: 'stopping', style: 'dim' },
};

export function eventWords({ event }: Pick<BrokerEvent, 'event'>): Words {
  return WORDS[event] ?? { word: event, style: null };
}

/** `12:04:31`, as the clock of whoever looks. */
export function clockWords(at: number): string {
  const date = new Date(at * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** How often, where it was more than once, and what the daemon said of it. */
export function detailWords({ detail, count }: BrokerEvent): string {
  return [count !== undefined && count > 1 ? `${count} times` : null, detail === '' ? null : detail].filter((word) => word !== null).join(', ');
}

/** One line an event, as `valetkey audit tail` has them. */
export function eventLine(event: BrokerEvent): string {
  const detail = detailWords(event);
  return [timeWords(event.at * 1000), event.event.padEnd(16), (event.profile ?? '-').padEnd(12), event.caller ?? '-', ...(detail === '' ? [] : [detail])].join('  ');
}
