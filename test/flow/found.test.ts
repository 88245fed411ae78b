/** Rules that ask what detectors found: from the request on that raised it, and of nobody else. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { DETECTORS } from '../../daemon/audit/detector-rules.ts';
import { FINDINGS } from '../../daemon/core/policy-rules.ts';
import { someOrigin } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { initWorkload, workloadToml } from '../support/workload-rig.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
const RULE = (found: string): string => `v = 1\n[[rules]]\nname = "found"\ndecide = "deny"\nwhen = { found = ${found} }\n`;
const program = (executable: string, digest: string) => ({ origin: someOrigin({ program: { executable, script: null }, digest }) });
const ask = async () => (await vk.api('POST', '/v1/token', { profile: 'work' })).body;
const askAsWorkload = async () => (await vk.api('POST', '/v1/workload-tokens', { profile: 'backup' })).body;
const TOKEN = { access_token: expect.any(String) as string };
const REFUSED = { code: 'policy_denied', reason: 'user/found' };

beforeAll(async () => {
  issuer = await startIssuer({ workloads: true });
  vk = await startInProcess({ config: `${profileToml('work', issuer.url)}\n${workloadToml('backup', issuer.url, 'scopes = ["read"]')}`, keepsAudit: true });
  vk.isPlay = true;
  await vk.signIn('work', 'ada');
  await initWorkload(vk, issuer, 'backup');
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

it('can ask for each detector', () => {
  expect([...FINDINGS].toSorted()).toEqual([...DETECTORS.map(({ name }) => name), 'audit_tampered'].toSorted());
});

it('[AL-06] blocks a program that is not the one from before, at its first request, and no other', async () => {
  vk.caller = program('/opt/tool', 'a'.repeat(64));
  expect(await ask()).toMatchObject(TOKEN);
  await vk.policy('user', RULE('["new_digest"]'));
  await vk.api('POST', '/v1/reload');
  expect(await ask()).toMatchObject(TOKEN);
  vk.caller = program('/opt/tool', 'b'.repeat(64));
  expect(await ask()).toMatchObject(REFUSED);
  expect(await ask()).toMatchObject(REFUSED);
  expect(await askAsWorkload()).toMatchObject(REFUSED);
  expect((await vk.api('POST', '/v1/policy/explain', { profile: 'work', caller: { executable: '/opt/tool' } })).body).toMatchObject({ decision: 'deny', rule: 'user/found' });
  vk.caller = program('/opt/other', 'c'.repeat(64));
  expect(await ask()).toMatchObject(TOKEN);
  // For as long as it is told of.
  vk.skipMs = 3_600_001;
  vk.caller = program('/opt/tool', 'b'.repeat(64));
  expect(await ask()).toMatchObject(TOKEN);
});

it('[AL-06] blocks an unusual caller of a workload likewise, and lets it have what is usual for it', async () => {
  vk.caller = program('/opt/job', 'd'.repeat(64));
  expect(await askAsWorkload()).toMatchObject(TOKEN);
  await vk.policy('user', RULE('"unusual_caller"'));
  await vk.api('POST', '/v1/reload');
  vk.skipMs += 86_400_000;
  vk.caller = program('/opt/stranger', 'e'.repeat(64));
  expect(await askAsWorkload()).toMatchObject(REFUSED);
  vk.caller = program('/opt/job', 'd'.repeat(64));
  expect(await askAsWorkload()).toMatchObject(TOKEN);
});
