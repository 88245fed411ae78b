/** When the key leaves the supervisor's hands: before a lock waits for anything, and at a panic. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openVaultWith } from '../../daemon/vault/open-vault.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { FakeKeychain, makeStateDir, PASSPHRASE, vaultDeps } from '../support/vault-rig.ts';
import type { StateDir } from '../support/vault-rig.ts';

let hostile: HostileIssuer;
let dir: StateDir;
let vk: InProcess;
let kept: Buffer | null;

beforeEach(async () => {
  hostile = await startHostileIssuer({ lifetimes: { accessTokenS: 600 } });
  dir = makeStateDir();
  kept = null;
  const keptKey = { take: () => null, keep: (key: Uint8Array) => { kept = Buffer.from(key); }, drop: () => { kept = null; } };
  const vault = await openVaultWith({ ...vaultDeps(dir.path, 'passphrase'), keptKey }, new FakeKeychain());
  await vault.unlock(PASSPHRASE, true);
  vk = await startInProcess({ config: profileToml('work', hostile.url), edges: { vault }, issuerTimeoutMs: 60_000 });
  await vk.signIn('work', 'alice');
});
afterEach(async () => {
  await hostile.close(); // what hangs there ends
  await vk.stop();
  dir.remove();
});

it.each(['lock', 'panic'])('a daemon that is killed while a %s waits for an issuer is not opened again by its supervisor', async (verb) => {
  hostile.fault('token', faults.hang(), 100);
  const asked = vk.api('POST', '/v1/token', { profile: 'work', force: true });
  await expect.poll(() => hostile.requestsTo('token').filter((r) => r.params['grant_type'] === 'refresh_token').length).toBe(1);
  expect(kept).not.toBeNull();
  void vk.api('POST', `/v1/${verb}`).catch(() => undefined);
  await expect.poll(() => kept).toBeNull(); // the answer never comes, and the vault waits for it
  void asked.catch(() => undefined);
});

it('stays with it when the daemon stops', async () => {
  await vk.daemon.stop('a test');
  expect(kept).not.toBeNull();
});
