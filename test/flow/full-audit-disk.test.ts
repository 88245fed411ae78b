/** A daemon whose audit log stands on a disk that is really full: a small tmpfs, filled to the last byte. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { auditPath, openAudit } from '../../daemon/audit/open-audit.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { someOrigin } from '../support/builders.ts';
import { LogSink } from '../support/fakes.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { smallDisk } from '../support/small-disk.ts';
import type { SmallDisk } from '../support/small-disk.ts';

const POLICY = 'v = 1\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n[[rules]]\nname = "people"\ndecide = "allow"\nwhen = { class = "human" }\n';

let hostile: HostileIssuer | null = null;
let vk: InProcess | null = null;
let disk: SmallDisk | null = null;
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
  disk?.remove();
  [vk, hostile, disk] = [null, null, null];
});

/** @returns what gives the room back */
function fill(dir: string): () => void {
  const files: string[] = [];
  for (let size = 4_096; size > 0; size = Math.floor(size / 2)) {
    for (let isFull = false; !isFull;) {
      const file = join(dir, `filler-${files.length}`);
      files.push(file);
      try {
        writeFileSync(file, Buffer.alloc(size));
      } catch (cause) {
        expect(cause).toMatchObject({ code: 'ENOSPC' });
        isFull = true;
      }
    }
  }
  return () => files.forEach((file) => rmSync(file, { force: true }));
}

it('[TK-04] refuses what is privileged while the disk of the audit is full, gives the rest with a warning, and loses no record', async (test) => {
  const small = smallDisk('size=256k');
  if ('obstacle' in small) {
    console.warn(`not run: ${small.obstacle}`);
    return test.skip(small.obstacle);
  }
  disk = small;
  hostile = await startHostileIssuer({ scopes: ['api:read', 'admin:all'], lifetimes: { accessTokenS: 300 } });
  const log = new LogSink();
  const dir = join(small.dir, 'audit');
  const audit = await openAudit({ dir, clock: createClock(), log });
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url).replace('"email", ', '"api:read", "admin:all", '), edges: { audit } });
  const daemon = vk;
  vk.caller = { origin: someOrigin() };
  await vk.policy('admin', POLICY);
  await vk.api('POST', '/v1/reload');
  await vk.signIn('work', 'alice');
  await vk.signIn('work', 'alice', { scopes: ['admin:all'], claimed: { reason: 'ticket 4711' } });
  const token = async (ask: object = {}) => (await daemon.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
  const admin = { scopes: ['admin:all'] };
  expect(await token(admin)).toMatchObject({ rule: 'admin/people' });

  const empty = fill(small.dir);
  // What is left of the last page takes a few records.
  let asked = 0;
  for (; audit.trouble() === null && asked < 100; asked += 1) await vk.api('POST', '/v1/reload');
  expect(audit.trouble()).toContain('the disk refuses');

  expect(await token(admin)).toMatchObject({ code: 'audit_unwritable', status: 507, retryable: true, hint: expect.stringContaining('Free space') as string });
  expect((await vk.api('POST', '/v1/logins', { profile: 'work', ...admin, claimed: { reason: 'ticket 4711' } })).body).toMatchObject({ code: 'audit_unwritable' });
  expect(await token()).toMatchObject({ access_token: expect.any(String) as string });
  expect(await token({ force: true })).toMatchObject({ source: 'refresh' });
  expect((await vk.api('GET', '/v1/status')).body.warnings.join('\n')).toMatch(/audit: the disk refuses .* records wait in memory/);

  empty();
  await expect.poll(() => audit.trouble()).toBeNull();
  expect(await token(admin)).toMatchObject({ rule: 'admin/people' });
  const events = readFileSync(auditPath(dir), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { readonly event: string; readonly facts: Readonly<Record<string, unknown>> });
  // What waited is there, the refusal among it.
  expect(events.filter(({ event }) => event === 'config_reloaded')).toHaveLength(asked + 1);
  expect(events.filter(({ event, facts }) => event === 'token_refused' && facts['code'] === 'audit_unwritable')).toHaveLength(1);
  expect(events.map(({ event }) => event)).toContain('token_refreshed');
});
