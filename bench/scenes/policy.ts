/** What a decision costs, without anything around it: it is made at every request. */
import { parsePolicy } from '../../daemon/config/policy/parse.ts';
import type { PolicyDocument } from '../../daemon/core/policy-rules.ts';
import { compilePolicy, decide } from '../../daemon/policy/decide.ts';
import type { Policy } from '../../daemon/policy/decide.ts';
import type { PolicyRequest, Subject } from '../../daemon/policy/facts.ts';
import type { Scene } from '../bench.ts';
import { compare } from '../comparison.ts';
import { summarise } from '../statistics.ts';

const RULES = 200;
const BATCH = 5_000;
/** V8 has made its best of it by then. */
const WARM = 20_000;

/** Each could fit by one condition or another, and none does: the most that there is to look at. */
function ruleText(i: number): string {
  return `[[rules]]
name = "r${i}"
decide = "${i % 2 === 0 ? 'allow' : 'deny'}"
[rules.when]
executable = ["/opt/tool-${i}/bin/*", "/usr/local/bin/tool-${i}"]
class = "human"
profile = "prod-*"
scopes = { any = ["admin:*", "write:${i}"] }
ancestor = "bash"
`;
}

function documentOf(source: 'admin' | 'user', count: number): PolicyDocument {
  return parsePolicy(`v = 1\n${Array.from({ length: count }, (_, i) => ruleText(i)).join('')}`, source, source);
}

const SUBJECT: Subject = {
  uid: 1000,
  terminal: { device: 34_816, foreground: true },
  origin: {
    class: 'human', agent: null, agentProcess: null, program: { executable: '/opt/tool-x/bin/deploy', script: null }, run: null, digest: null,
    lineage: ['zsh', 'gnome-terminal-', 'systemd'].map((name, i) => ({ pid: i + 1, startTime: '1', name, executable: `/usr/bin/${name}`, script: null })),
    sessionLeader: null, isOrphan: false, unit: null, container: false, remote: false, forwarded: false,
  },
};
const REQUEST: PolicyRequest = {
  profile: 'prod-eu', issuer: 'https://issuer.example', tenant: null, resource: null, scopes: ['openid', 'admin:users'],
  flow: 'authorization_code', use: 'token', signedInS: 60, found: [], screenLocked: null, tier: 'normal', isSignIn: false,
};

function microseconds(policy: Policy, times: number): number {
  const begun = process.hrtime.bigint();
  for (let i = 0; i < times; i += 1) decide(policy, SUBJECT, REQUEST);
  return Number(process.hrtime.bigint() - begun) / times / 1_000;
}

export const policyScene: Scene = {
  name: 'policy',
  title: 'A decision of policy',
  isCharted: false,
  async run({ effort }) {
    const contestants = [
      { by: 'the policy that ships', limit: 1, policy: compilePolicy({ admin: null, user: null }) },
      { by: `${RULES} rules of the admin`, limit: 20, policy: compilePolicy({ admin: documentOf('admin', RULES), user: null }) },
      { by: `${RULES / 2} rules of each file`, limit: 20, policy: compilePolicy({ admin: documentOf('admin', RULES / 2), user: documentOf('user', RULES / 2) }) },
    ];
    for (const { policy } of contestants) microseconds(policy, WARM);
    const measured = contestants.map((): number[] => []);
    for (let round = 0; round < effort.times; round += 1) {
      for (const [i, { policy }] of contestants.entries()) measured[i]?.push(microseconds(policy, BATCH));
    }
    return contestants.map(({ by, limit }, i) => compare({
      what: 'one decision', by, unit: 'us', ours: summarise(measured[i] ?? []), goal: { of: 'value', sign: '<=', limit },
    }));
  },
};
