/**
 * The live view as lines, for a terminal of any size. What waits for the person comes before everything else; what has
 * no room is counted, not hidden. Pure: the same board, size and time give the same lines.
 */
import { standingRows } from '../standing-rows.ts';
import { ago, clock, count, duration } from '../time-words.ts';
import { closedWords } from '../vault-words.ts';
import type { Board } from './board.ts';
import { clockWords, detailWords, eventWords } from './event-words.ts';
import { clipLine, span, tableLines, widthOf } from './lines.ts';
import type { Column, Line, Style } from './lines.ts';

export type Size = { readonly columns: number; readonly rows: number };

/** A table of the view; how many of its rows are shown is decided by the room that there is. */
type Section = { readonly columns: readonly Column[]; readonly rows: readonly Line[]; /** Of the room: the rest is others'. */ readonly share: number; readonly saysMore: boolean };

/** @param words - the narrowest at which what to run can be read */
const profileColumns = (words: number): readonly Column[] => [
  { title: 'PROFILE', min: 8, leaves: 0 },
  { title: 'SIGNED IN AS', min: 12, leaves: 1 },
  { title: 'SIGN-IN', min: words, leaves: 0 },
  { title: 'TOKEN', min: 12, leaves: 2 },
];
const WAITS: readonly Column[] = [
  { title: 'WAITS FOR YOU', min: 12, leaves: 0 },
  { title: 'OPEN', min: 4, leaves: 1 },
  { title: 'RUN', min: 25, leaves: 0 },
];
const CALLERS: readonly Column[] = [
  { title: 'CALLER', min: 10, leaves: 0 },
  { title: 'TOKENS', min: 6, leaves: 0, isNumber: true },
  { title: 'REFUSED', min: 7, leaves: 0, isNumber: true },
  { title: 'LAST', min: 9, leaves: 2 },
  { title: 'PROFILES', min: 8, leaves: 1 },
];
const EVENTS: readonly Column[] = [
  { title: 'TIME', min: 8, leaves: 3 },
  { title: 'WHAT', min: 14, leaves: 0 },
  { title: 'PROFILE', min: 7, leaves: 0 },
  { title: 'WHO', min: 10, leaves: 1 },
  { title: 'WHY', min: 10, leaves: 2 },
];

const row = (...cells: readonly (string | readonly [string, Style | null])[]): Line => cells.map((cell) => (typeof cell === 'string' ? span(cell) : span(...cell)));

/** As `valetkey status` has it; but the command to run comes before the reason, which is cut first. */
function profileSection({ status }: Board, now: number): Section {
  const rows = status === null ? [] : standingRows(status, now).map(([name = '', who = '', signIn = '', token = '']) => {
    const [, reason] = /^over \((\w+)\)/.exec(signIn) ?? [];
    return reason !== undefined ? row(name, who, [`over: valetkey login ${name}`, 'yellow'], reason) : row(name, who, [signIn, signIn.includes('valetkey login') ? 'yellow' : null], token);
  });
  const words = rows.map(([, , signIn]) => (signIn?.style === 'yellow' ? widthOf(signIn.text) : 0));
  return { columns: profileColumns(Math.max(20, ...words)), rows, share: 0.4, saysMore: true };
}

function waitSection({ status, approvals }: Board, now: number): Section {
  const questions = (approvals?.pending ?? []).map(({ id, caller, profile, expires_at: end }) => row([`${caller} wants ${profile}`, 'yellow'], clock(end - now), `valetkey approve ${id}`));
  const logins = approvals === null ? [] : (status?.logins ?? []).map(({ profile, flow, expires_at: end }) => row([`${profile}: ${flow === 'device_code' ? 'code to enter' : 'sign-in in the browser'}`, 'yellow'], clock(end - now), '-'));
  return { columns: WAITS, rows: [...questions, ...logins], share: 1, saysMore: true };
}

function callerSection({ callers }: Board, now: number): Section {
  const some = (n: number, style: Style | null = null): string | readonly [string, Style | null] => (n === 0 ? '-' : [String(n), style]);
  return { columns: CALLERS, share: 0.3, saysMore: true, rows: callers.map(({ name, tokens, refused, lastAt, profiles }) => row(name, some(tokens), some(refused, 'red'), ago(lastAt, now), profiles.join(' '))) };
}

function eventSection({ events }: Board): Section {
  return {
    columns: EVENTS, share: 1, saysMore: false,
    rows: events.map((event) => {
      const { word, style } = eventWords(event);
      return row([clockWords(event.at), 'dim'], [word, style], event.profile ?? '', event.caller ?? '', [detailWords(event), 'dim']);
    }),
  };
}

/** Two texts at both ends of a line. */
function ends(left: Line, right: Line, width: number): Line {
  const used = [...left, ...right].reduce((sum, { text }) => sum + widthOf(text), 0);
  return used + 2 > width ? clipLine(left, width) : [...left, { text: ' '.repeat(width - used), style: null }, ...right];
}

function headLine({ status, approvals, lost }: Board, now: number, width: number): Line {
  const name = span('valetkey', 'bold');
  const time = [span(clockWords(now), 'dim')];
  if (lost !== null) return ends([name, span(`  ${lost}`.trimEnd(), 'yellow')], time, width);
  const standings = status?.standings ?? [];
  const waiting = approvals?.pending.length ?? 0;
  const words = `  ${standings.filter(({ state }) => state === 'signed_in').length} of ${count(standings.length, 'profile')} signed in`;
  return ends([name, span(words), ...(waiting === 0 ? [] : [{ text: ', ', style: null }, span(`${count(waiting, 'question')} for you`, 'yellow')])], time, width);
}

function footLine({ status, lost }: Board, now: number, width: number): Line {
  const warnings = status?.warnings.length ?? 0;
  const daemon = status === null || lost !== null ? '' : `daemon ${status.version}, pid ${status.pid}, up ${duration(now - status.started_at)}`;
  return ends(
    [span('q leaves', 'dim'), ...(warnings === 0 ? [] : [{ text: '   ', style: null }, span(`${count(warnings, 'warning')}: valetkey status`, 'yellow')])],
    daemon === '' ? [] : [span(daemon, 'dim')], width,
  );
}

/** How many rows of each section are shown; a section without room for its head and a row is left out. */
function allot(sections: readonly Section[], room: number): readonly number[] {
  const given = sections.map(() => 0);
  let left = room;
  // The head, one row, and the line before; the most important first.
  for (const [i, { rows }] of sections.entries()) {
    if (rows.length === 0 || left < 3) continue;
    given[i] = 1;
    left -= 3;
  }
  const grow = (most: (section: Section) => number): void => {
    for (const [i, section] of sections.entries()) {
      const has = given[i] ?? 0;
      const more = has === 0 ? 0 : Math.max(0, Math.min(left, section.rows.length - has, Math.floor(most(section)) - has));
      given[i] = has + more;
      left -= more;
    }
  };
  grow(({ share }) => (share === 1 ? 3 : room * share));
  grow(() => room);
  return given;
}

function sectionLines({ columns, rows, saysMore }: Section, shown: number, width: number): readonly Line[] {
  if (shown === 0) return [];
  const hidden = rows.length - shown;
  if (hidden === 0 || !saysMore || shown === 1) return [[], ...tableLines(columns, rows.slice(0, shown), width)];
  return [[], ...tableLines(columns, rows.slice(0, shown - 1), width), clipLine([span(`and ${hidden + 1} more`, 'dim')], width)];
}

/** Exactly as many lines as the terminal has, none wider than it. */
export function drawBoard(board: Board, { columns: width, rows: height }: Size, now: number): readonly Line[] {
  const closed = board.status === null ? null : closedWords(board.status);
  const notices: readonly Line[] = closed !== null
    ? [[], clipLine([span(closed, 'yellow')], width)]
    : board.status?.standings.length === 0 ? [[], clipLine([span('There is no profile yet. Run: valetkey profile add NAME --issuer URL --client-id ID')], width)] : [];
  const sections = [waitSection(board, now), ...(closed === null ? [profileSection(board, now)] : []), eventSection(board), callerSection(board, now)];
  const shown = allot(sections, height - 2 - notices.length);
  const drawn = sections.map((section, i) => sectionLines(section, shown[i] ?? 0, width));
  // Events come last, where they may be as many as there is room for.
  const events = sections.length - 2;
  const body = [...notices, ...drawn.filter((_, i) => i !== events).flat(), ...drawn[events] ?? []];
  // Of a daemon that is gone it is what was.
  const shownBody = board.lost === null ? body : body.map((line) => line.map(({ text, style }) => ({ text, style: style === 'bold' ? style : 'dim' as const })));
  const lines = [headLine(board, now, width), ...shownBody].slice(0, Math.max(1, height - 1));
  const blank: readonly Line[] = Array.from({ length: Math.max(0, height - 1 - lines.length) }, () => []);
  return height < 2 ? lines : [...lines, ...blank, footLine(board, now, width)];
}
