/** Processes as the kernel would tell of them, for those who ask and those who answer. */
import type { Caller, Origin } from '../../daemon/core/domain.ts';
import { someCaller, someOrigin } from './builders.ts';

const AGENT = { pid: 5000, startTime: '200' };

/** A command that a coding agent runs, in a terminal that the agent has. */
export function someAsker(over: Partial<Caller> = {}, origin: Partial<Origin> = {}): Caller {
  return {
    ...someCaller({ pid: 5100, startTime: '300', terminal: { device: 34_820, foreground: false }, label: 'curl (pid 5100)' }),
    origin: someOrigin({
      class: 'agent', agent: 'claude-code', agentProcess: AGENT, program: { executable: '/usr/bin/curl', script: null },
      lineage: [
        { pid: 5050, startTime: '299', name: 'sh', executable: '/usr/bin/dash', script: null },
        { ...AGENT, name: 'node', executable: '/usr/bin/node', script: '/opt/claude/cli.js' },
        { pid: 4900, startTime: '40', name: 'bash', executable: '/usr/bin/bash', script: null },
      ],
      sessionLeader: { pid: 4900, startTime: '40' }, ...origin,
    }),
    ...over,
  };
}

/** A person's terminal that was open before. */
export function someApprover(over: Partial<Caller> = {}, origin: Partial<Origin> = {}): Caller {
  return {
    ...someCaller({ pid: 6000, startTime: '90000', executable: '/usr/bin/node', terminal: { device: 34_830, foreground: true }, label: 'valetkey (pid 6000)' }),
    origin: someOrigin({ sessionLeader: { pid: 4000, startTime: '50' }, ...origin }), ...over,
  };
}
