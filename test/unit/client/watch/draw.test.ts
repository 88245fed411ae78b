import { describe, expect, it } from 'vitest';
import { Board } from '../../../../client/watch/board.ts';
import { drawBoard } from '../../../../client/watch/draw.ts';
import { encodeLine, repaint } from '../../../../client/watch/live-screen.ts';
import { clip, widthOf } from '../../../../client/watch/lines.ts';
import type { Line } from '../../../../client/watch/lines.ts';
import type { ApprovalsReply, PendingApproval } from '../../../../shared/approval-schemas.ts';
import type { BrokerEvent, StatusReply } from '../../../../shared/schemas.ts';
import { TinyTerminal } from '../../../support/tiny-terminal.ts';
import { noApprovals, NOW, status } from '../fake-world.ts';

const event = (over: Partial<BrokerEvent> = {}): BrokerEvent => ({ at: NOW - 10, event: 'token_released', profile: 'work', detail: 'any', caller: 'git (pid 4711)', ...over });
const question = (over: Partial<PendingApproval> = {}): PendingApproval => ({
  id: 'eSFLRkUt', profile: 'work', resource: null, scopes: null, caller: 'deploy (pid 9)', executable: '/bin/deploy', script: null, agent: null, lineage: [], claimed: null, use: 'token', rule: 'any', may_hold_s: null, pin_needed: false, asked_at: NOW, expires_at: NOW + 111, ...over,
});

function board({ state = {}, approvals = {}, events = [] }: { readonly state?: Partial<StatusReply>; readonly approvals?: Partial<ApprovalsReply>; readonly events?: readonly BrokerEvent[] } = {}): Board {
  const made = new Board();
  made.take({ kind: 'state', status: { ...status, ...state }, approvals: { ...noApprovals, ...approvals } });
  for (const each of events) made.take({ kind: 'event', event: each });
  return made;
}

const textOf = (lines: readonly Line[]): string => lines.map((line) => line.map(({ text }) => text).join('').trimEnd()).join('\n');
const drawn = (of: Board, columns = 80, rows = 24): string => textOf(drawBoard(of, { columns, rows }, NOW));
const styled = (of: Board, style: string): string => drawBoard(of, { columns: 100, rows: 30 }, NOW).flat().filter((each) => each.style === style).map(({ text }) => text).join(' | ');
const standing = (profile: string, over: Partial<StatusReply['standings'][number]> = {}): StatusReply['standings'][number] => ({ profile, state: 'login_required', reason: 'never_signed_in', session_ends_at: null, idle_ends_at: null, token_ends_at: null, ...over });

const NASTY = 'evil\u001b[2J\u001b]0;title\u0007\r\nroot@host\u202e\u200b\u009b31m\u0000 名前';

describe('the live view', () => {
  it('is what status says, what waits, who took tokens, and what happened', () => {
    const text = drawn(board({
      state: { standings: [standing('work', { state: 'signed_in', reason: null, session_ends_at: NOW + 25_200, token_ends_at: NOW + 3_120 }), standing('home'), standing('old', { reason: 'revoked_or_reused' })], logins: [{ id: 'L', profile: 'home', flow: 'authorization_code', expires_at: NOW + 245 }], warnings: ['one'] },
      approvals: { pending: [question()] },
      events: [event({ count: 12 }), event({ caller: 'git (pid 4712)' }), event({ event: 'token_refused', caller: 'curl (pid 5)', detail: 'deny-agents' }), event({ event: 'token_refreshed', caller: undefined, detail: null })],
    }));
    for (const words of [
      /^valetkey {2}1 of 3 profiles signed in, 1 question for you +\d\d:\d\d:\d\d$/m,
      /^deploy \(pid 9\) wants work +1:51 {2}valetkey approve eSFLRkUt$/m,
      /^home: sign-in in the browser +4:05 {2}-$/m,
      /^work +ada@example\.com \(u1\) +active for 7 h +for 52 min$/m,
      /^home +- +none: valetkey login home +-$/m,
      /^old +- +over: valetkey login old +revoked_or_reused$/m,
      /^curl +- +1 +10 s ago +work$/m,
      /^git +13 +- +10 s ago +work$/m,
      /^\d\d:\d\d:\d\d {2}refreshed +work$/m,
      /^\d\d:\d\d:\d\d {2}refused +work +curl \(pid 5\) +deny-agents$/m,
      /^\d\d:\d\d:\d\d {2}token +work +git \(pid 4711\) +12 times, any$/m,
      /^q leaves {3}1 warning: valetkey status +daemon 0\.1\.0, pid 4242, up 10 min$/m,
    ]) expect(text).toMatch(words);
  });

  it('colours what was refused and what waits, and nothing for beauty', () => {
    const made = board({ state: { standings: [standing('home')] }, approvals: { pending: [question()] }, events: [event(), event({ event: 'token_refused', detail: 'deny' })] });
    expect(styled(made, 'red')).toBe('1 | refused');
    expect(styled(made, 'yellow')).toBe('1 question for you | deploy (pid 9) wants work | none: valetkey login home');
  });

  it.each([[80, 24], [60, 20], [40, 12], [20, 6], [200, 60], [10, 3], [1, 1], [80, 1], [80, 2], [3, 40]])('fits %i columns and %i rows, whatever is in it', (columns, rows) => {
    const many = Array.from({ length: 300 }, (_, i) => event({ caller: `${NASTY}${i % 70} (pid ${i})`, detail: NASTY.repeat(9), event: i % 3 === 0 ? 'token_refused' : 'token_released' }));
    const made = board({
      state: { standings: Array.from({ length: 40 }, (_, i) => standing(`profile-with-a-long-name-${i}`)), logins: [{ id: 'L', profile: NASTY, flow: 'device_code', expires_at: NOW - 5 }] },
      approvals: { pending: Array.from({ length: 30 }, () => question({ caller: NASTY })) }, events: many,
    });
    const lines = drawBoard(made, { columns, rows }, NOW);
    expect(lines).toHaveLength(rows);
    for (const line of lines) expect(line.reduce((sum, { text }) => sum + widthOf(text), 0)).toBeLessThanOrEqual(columns);
  });

  it('[AL-04] shows text from elsewhere as text, and none of it moves the cursor', () => {
    const made = board({ state: { standings: [standing('work', { state: 'signed_in' })], grants: status.grants.map((grant) => ({ ...grant, subject: { sub: NASTY, name: NASTY, email: null } })), warnings: [NASTY] }, approvals: { pending: [question({ caller: NASTY, profile: NASTY })] }, events: [event({ caller: NASTY, detail: NASTY, profile: NASTY }), event({ event: NASTY as 'locked', caller: undefined })] });
    const terminal = new TinyTerminal(120, 30);
    const lines = drawBoard(made, { columns: 120, rows: 30 }, NOW);
    terminal.write(repaint([], lines.map((line) => encodeLine(line, true)), lines.map(() => 0), 120));
    expect(terminal.strange).toEqual([]);
    expect(terminal.text).toContain('evil [2J ]0;title   root@host');
    expect(terminal.text).not.toMatch(/[\u200b\u202e]/);
    expect(textOf(lines)).not.toMatch(/[^\n\P{Cc}]|\p{Cf}/u);
  });

  it('keeps the command to run where columns have to give way', () => {
    const made = board({ state: { standings: [standing('customer-production', { reason: 'revoked_or_reused' }), standing('work', { state: 'signed_in', token_ends_at: NOW + 60 })] } });
    for (const columns of [80, 70, 60, 50]) expect(drawn(made, columns)).toContain('over: valetkey login customer-production');
  });

  it('counts what it has no room for', () => {
    const text = drawn(board({ state: { grants: [], standings: Array.from({ length: 9 }, (_, i) => standing(`p${i}`)) } }), 80, 8);
    expect(text).toMatch(/^p0 /m);
    expect(text).toContain('and 6 more');
  });

  it.each([
    [{ locked: true }, 'Locked by valetkey lock'],
    [{ locked_out_since: NOW }, 'Everything was ended by valetkey panic'],
    [{ vault: { backend: 'keychain', state: 'locked', detail: '' } }, 'The vault is locked'],
    [{ standings: [], grants: [] }, 'There is no profile yet'],
  ] as const)('says why there is nothing to see: %o', (state, words) => {
    expect(drawn(board({ state: state as Partial<StatusReply> }))).toContain(words);
  });

  it('says that nobody is heard, and offers no question that ended with the daemon', () => {
    const made = board({ approvals: { pending: [question()] } });
    made.take({ kind: 'lost', why: 'the daemon is gone; it is waited for' });
    expect(drawn(made)).toMatch(/^valetkey {2}the daemon is gone; it is waited for +\d/);
    expect(drawn(made)).not.toContain('valetkey approve');
    expect(drawn(made)).toContain('work');
    expect(drawn(new Board())).toContain('connecting to the daemon');
  });
});

describe('what the view remembers', () => {
  it('is bounded: two hundred events and sixty-four callers, the oldest first to go', () => {
    const made = board({ events: Array.from({ length: 500 }, (_, i) => event({ caller: `c${i} (pid 1)`, at: NOW + i })) });
    expect([made.events.length, made.events[0]?.at, made.callers.length, made.callers[0]?.name, made.callers.at(-1)?.name]).toEqual([200, NOW + 499, 64, 'c499', 'c436']);
  });

  it('counts runs of one program together, by the count that the daemon gives', () => {
    const made = board({ events: [event({ count: 1 }), event({ caller: 'git (pid 2)', count: 40, profile: 'lab' }), event({ event: 'token_refused', caller: 'git (pid 3)', count: undefined }), event({ event: 'approval_asked' })] });
    expect(made.callers).toEqual([{ name: 'git', tokens: 41, refused: 1, lastAt: NOW - 10, profiles: ['work', 'lab'] }]);
  });
});

describe('a repaint', () => {
  it('writes nothing where nothing changed, and else the lines that did, in one synchronised piece', () => {
    expect(repaint(['a', 'b'], ['a', 'b'], [1, 1], 80)).toBe('');
    expect(repaint(['a', 'b'], ['a', 'c'], [1, 1], 80)).toBe('\u001b[?2026h\u001b[2;1Hc\u001b[K\u001b[?2026l');
  });

  it('leaves the screen as if it were drawn from nothing, whatever stood there', () => {
    const frames = [['one', 'twenty characters wide'], ['', 'x'], ['0123456789', '山田'], ['a', '']];
    const terminal = new TinyTerminal(10, 2);
    terminal.write('\u001b[?7l');
    let before: readonly string[] = [];
    for (const frame of frames) {
      const lines = frame.map((text) => clip(text, 10));
      terminal.write(repaint(before, lines, lines.map(widthOf), 10));
      before = lines;
      expect(terminal.lines).toEqual(lines);
    }
    expect(terminal.strange).toEqual([]);
  });

  it('writes colours only where they are wanted', () => {
    const line: Line = [{ text: 'a', style: 'red' }, { text: 'b', style: null }];
    expect([encodeLine(line, true), encodeLine(line, false)]).toEqual(['\u001b[31ma\u001b[0mb', 'ab']);
  });
});
