import { describe, expect, it } from 'vitest';
import { whyNoPerson, whyNotApprove, whyNotDisplay } from '../../../../daemon/approvals/may-approve.ts';
import { someApprover, someAsker } from '../../../support/parties.ts';

/** Ten seconds since boot, in the 1/100 s of start times: 1,000. */
const ASKED_MS = 10_000;

describe('whoever answers a question', () => {
  it('may from a terminal of a login session that was open before', () => {
    expect(whyNotApprove(someApprover(), someAsker(), ASKED_MS)).toBeNull();
  });

  const own = someAsker();
  it.each([
    ['is another user', someApprover({ uid: 1001 }), /another user/],
    ['asks over a forwarded socket', someApprover({}, { forwarded: true }), /another machine/],
    ['is in a container', someApprover({}, { container: true }), /container/],
    ['was started by an agent', someApprover({}, { class: 'agent', agent: 'codex' }), /started by codex/],
    ['has no login session', someApprover({}, { class: 'workload' }), /outside of a login session/],
    ['has no terminal', someApprover({ terminal: null }), /terminal/],
    ['is in the background of its terminal', someApprover({ terminal: { device: 34_830, foreground: false } }), /foreground/],
    ['was left behind by its parent', someApprover({}, { isOrphan: true }), /left behind/],
    ['is at the terminal of the asker', someApprover({ terminal: { device: 34_820, foreground: true } }), /terminal of the program that asks/],
    ['is the asker', someApprover({ pid: own.pid, startTime: own.startTime }), /started by the program that asks/],
    ['was started by the asker', someApprover({}, { lineage: [{ pid: own.pid, startTime: own.startTime, name: 'x', executable: null, script: null }] }), /started by the program that asks/],
    ['is in the session of the asker', someApprover({}, { sessionLeader: own.origin.sessionLeader }), /session of the program that asks/],
    ['has no session', someApprover({}, { sessionLeader: null }), /no session/],
    ['is in a session that was made since', someApprover({}, { sessionLeader: { pid: 7000, startTime: '1001' } }), /younger/],
    ['is in a session of the same moment', someApprover({}, { sessionLeader: { pid: 7000, startTime: '1000' } }), /younger/],
  ])('[IP-10] may not where it %s', (_what, answerer, why) => {
    expect(whyNotApprove(answerer, own, ASKED_MS)).toMatch(why);
  });

  it('[IP-10] counts as made since where it was in the same hundredth of a second as the question', () => {
    const made = (startTime: string, askedAtMs: number) => whyNotApprove(someApprover({}, { sessionLeader: { pid: 7000, startTime } }), own, askedAtMs);
    expect(made('1000', 10_009)).toMatch(/younger/);
    expect(made('1000', 10_010)).toBeNull();
    expect(made('unknown', 10_010)).toMatch(/younger/);
  });

  /** It left its terminal and its session by setsid(). */
  const apart = someAsker({ terminal: null }, { class: 'human', agent: null, agentProcess: null, sessionLeader: { pid: 5050, startTime: '299' } });
  const tool = { pid: 5000, startTime: '200' };
  it.each([
    ['started the asker', someApprover({ ...tool }), /started the program that asks/],
    ['is at the terminal from which the asker was started', someApprover({}, { sessionLeader: { pid: 4900, startTime: '40' } }), /terminal from which the program that asks was started/],
  ])('[IP-10] may not where it %s, though that has left it', (_what, answerer, why) => {
    expect(whyNotApprove(answerer, apart, ASKED_MS)).toMatch(why);
    expect(whyNotApprove(someApprover(), apart, ASKED_MS)).toBeNull();
  });

  it('may not be a child of the agent that the asker belongs to', () => {
    const agent = own.origin.agentProcess;
    const answerer = someApprover({}, { lineage: [{ pid: agent?.pid ?? 0, startTime: agent?.startTime ?? '', name: 'node', executable: '/usr/bin/node', script: null }] });
    expect(whyNotApprove(answerer, own, ASKED_MS)).toMatch(/started by the agent that asks/);
  });
});

describe('whoever shows a dialog', () => {
  const server = (over: object = {}, origin: object = {}) => someApprover({ terminal: null, startTime: '60', ...over }, { class: 'workload', sessionLeader: null, lineage: [], ...origin });
  const own = someAsker();
  const child = { lineage: [{ pid: own.pid, startTime: own.startTime, name: 'x', executable: null, script: null }] };

  it.each([['of the user', {}], ['of root', { uid: 0 }]])('may be the display %s that was there before', (_what, over) => {
    expect(whyNotDisplay(server(over), own, ASKED_MS)).toBeNull();
  });

  it.each([
    ['is another user', server({ uid: 1001 }), /another user/],
    ['is in a container', server({}, { container: true }), /container/],
    ['was started by an agent', server({}, { agent: 'codex' }), /started by codex/],
    ['was left behind by its parent', server({}, { isOrphan: true }), /left behind/],
    ['is the asker', server({ pid: own.pid, startTime: own.startTime }), /started by the program that asks/],
    ['was started by the asker', server({}, child), /started by the program that asks/],
    ['was started by the agent of the asker', server({}, { lineage: [{ pid: 5000, startTime: '200', name: 'node', executable: null, script: null }] }), /started by the agent that asks/],
    ['leads the session of the asker', server({ pid: 4900, startTime: '40' }), /leads the session/],
    ['is younger than the question', server({ startTime: '1000' }), /younger/],
  ])('[IP-10] may not where it %s', (_what, shower, why) => {
    expect(whyNotDisplay(shower, own, ASKED_MS)).toMatch(why);
  });
});

describe('a place where a person could say something', () => {
  it('is a foreground terminal of a login session', () => {
    expect(whyNoPerson(someApprover())).toBeNull();
    expect(whyNoPerson(someAsker())).toMatch(/started by claude-code/);
    expect(whyNoPerson(someApprover({ terminal: null }))).toMatch(/terminal/);
  });
});
