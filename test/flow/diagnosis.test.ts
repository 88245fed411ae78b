/** POST /v1/diagnosis on a daemon in this process: issuers side by side, each within its time, and one look for all who ask. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { DiagnosisReply } from '../../shared/diagnosis-schemas.ts';
import { someOrigin } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
let held: Server;
let trials = 0;
beforeAll(async () => {
  issuer = await startIssuer();
  held = createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => held.listen(0, '127.0.0.1', resolve));
  const slow = `http://127.0.0.1:${(held.address() as AddressInfo).port}`;
  vk = await startInProcess({
    config: profileToml('work', issuer.url) + profileToml('again', issuer.url) + profileToml('slow', slow),
    issuerTimeoutMs: 1_500,
    edges: { tryKeychain: async () => {
      trials += 1;
      return 'frozen';
    } },
  });
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
  held?.close();
});

describe('POST /v1/diagnosis', () => {
  it('looks at each issuer once, and waits for none longer because of another', async () => {
    const before = issuer.count('discovery');
    const { status, body } = await vk.api('POST', '/v1/diagnosis');
    const { issuers, keychain } = body as DiagnosisReply;
    expect(status).toBe(200);
    expect(keychain.state).toBe('frozen');
    const [well, slow] = [issuers.find(({ profiles }) => profiles.includes('work')), issuers.find(({ profiles }) => profiles.includes('slow'))];
    expect(well).toMatchObject({ profiles: ['work', 'again'], state: 'well', cause: null });
    expect(slow).toMatchObject({ state: 'unreachable', cause: 'timeout', skew_s: null });
    expect(well?.took_ms).toBeLessThan(slow?.took_ms ?? 0);
    expect(issuer.count('discovery') - before).toBeLessThanOrEqual(2); // the metadata, and a sign of life
  });

  it('tells what a reload would make of the files, and takes nothing of them', async () => {
    const unread = async () => ((await vk.api('POST', '/v1/diagnosis')).body as DiagnosisReply).unread;
    const before = readFileSync(vk.configFile, 'utf8');
    expect(await unread()).toEqual([]);
    writeFileSync(vk.configFile, `# of no matter\n${before}`);
    expect(await unread()).toEqual([]);
    writeFileSync(vk.configFile, `${before}\n[limits]\nburst = 77\n`);
    expect(await unread()).toEqual([{ file: 'config', state: 'changed', detail: null }]);
    writeFileSync(vk.configFile, `${before}\n[nonsense\n`);
    expect(await unread()).toMatchObject([{ file: 'config', state: 'invalid', detail: expect.stringMatching(/:\d+:\d+: /) as string }]);
    expect((await vk.api('GET', '/v1/profiles')).body).toMatchObject({ profiles: { length: 3 } });
    writeFileSync(vk.configFile, before);
    expect(await unread()).toEqual([]);
  });

  it('those who ask at the same time share one look', async () => {
    const before = trials;
    const replies = await Promise.all(Array.from({ length: 5 }, () => vk.api('POST', '/v1/diagnosis')));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    expect(trials).toBe(before + 1);
  });

  it('is not for a process on another machine, or in a container', async () => {
    for (const place of [{ forwarded: true }, { container: true }]) {
      vk.caller = { origin: someOrigin(place) };
      expect((await vk.api('POST', '/v1/diagnosis')).body).toMatchObject({ code: 'policy_denied', reason: 'from-here-only' });
    }
    vk.caller = {};
  });
});
