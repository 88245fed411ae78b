/** Who may choose the passphrase under which people's sign-ins are sealed from then on. */
import { afterEach, expect, it } from 'vitest';
import { someOrigin } from '../support/builders.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { workloadToml } from '../support/workload-rig.ts';

const MAKE = { passphrase: 'known to the script EXAMPLE', create: true };
const PROFILE = '[profiles.work]\nissuer = "https://issuer.example"\nclient_id = "cli"\n';
let vk: InProcess;
afterEach(async () => vk.stop());

it.each([
  ['a script outside of a login session', { class: 'workload' }],
  ['a coding agent', { class: 'agent', agent: 'Claude Code' }],
  ['a container', { class: 'human', container: true }],
  ['another machine', { class: 'human', forwarded: true }],
] as const)('[ST-02] is not %s, which could read afterwards what is sealed', async (_who, origin) => {
  vk = await startInProcess({ config: `v = 1\n${PROFILE}`, backend: 'passphrase' });
  vk.caller = { origin: someOrigin(origin) };
  const refused = await vk.api('POST', '/v1/unlock', MAKE);
  expect(refused).toMatchObject({ status: 403 });
  expect((await vk.api('GET', '/v1/status')).body).toMatchObject({ vault: { state: 'locked' } });
});

it('is a person\'s program, and that it did is on record', async () => {
  vk = await startInProcess({ config: `v = 1\n${PROFILE}`, backend: 'passphrase' });
  expect(await vk.api('POST', '/v1/unlock', MAKE)).toMatchObject({ status: 200, body: { state: 'open' } });
  expect(vk.audit.events.filter(({ event }) => event === 'unlocked')).toMatchObject([{ facts: { created: true } }]);
});

it('is whoever sets a machine up on which nobody signs in', async () => {
  vk = await startInProcess({ config: `v = 1\n${workloadToml('backup', 'https://issuer.example')}`, backend: 'passphrase' });
  vk.caller = { origin: someOrigin({ class: 'workload' }) };
  expect(await vk.api('POST', '/v1/unlock', MAKE)).toMatchObject({ status: 200, body: { state: 'open' } });
});
