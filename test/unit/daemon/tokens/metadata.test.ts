import { afterEach, describe, expect, it } from 'vitest';
import type { AuthorizationServer } from '../../../../daemon/core/domain.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, someGrant, someProfile, someServer, someToken, someTraits, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { settle } from '../../../support/fake-clock.ts';

const DAY = 86_400_000;
const work = someProfile();
const stale = someGrant({ state: { kind: 'active', refreshToken: new Secret('rt-1-EXAMPLE'), tokens: [someToken({ expiresAt: (T0 + 1) as EpochMs })] } });

let engine: EngineRig | null = null;
async function rig(server: Partial<AuthorizationServer>, profile = work): Promise<EngineRig & { asked: () => number }> {
  engine = await engineRig([stale], [profile]);
  let asked = 0;
  engine.issuer.discover = async () => {
    asked += 1;
    return { kind: 'server', server: someServer(server) };
  };
  return { ...engine, asked: () => asked };
}
afterEach(() => engine?.stop.abort());

describe('the metadata of a grant', () => {
  it('is looked at once a day, after a refresh, and no request waits for it', async () => {
    const { get, issuer, clock, asked } = await rig({});
    issuer.discover = () => new Promise(() => undefined); // never answers
    expect(await get(work)).toMatchObject({ source: 'refresh' });
    const again = await rig({});
    for (let hour = 0; hour < 23; hour += 1) {
      await again.get(work);
      await again.clock.advance(3_600_000);
    }
    expect(again.issuer.refreshes.length).toBeGreaterThan(20);
    expect(again.asked()).toBe(1);
    await again.clock.advance(DAY);
    await again.get(work);
    await settle();
    expect(again.asked()).toBe(2);
    expect([asked(), clock.now()]).toEqual([0, T0]);
  });

  it('follows the issuer in what no token is sent to, and is sealed with the next generation', async () => {
    const { get, book, clock, vault } = await rig({ jwksUri: 'https://issuer.example/new-keys' });
    await get(work);
    await settle();
    expect(book.get(profileName('work'))?.server.jwksUri).toBe('https://issuer.example/jwks');
    await clock.advance(DAY / 2);
    await get(work);
    expect(book.get(profileName('work'))?.server.jwksUri).toBe('https://issuer.example/new-keys');
    expect(vault.stored.get(profileName('work'))?.grant.server.jwksUri).toBe('https://issuer.example/new-keys');
  });

  it('[AZ-06] never moves the endpoints that the refresh token is sent to: a person is told', async () => {
    for (const change of [{ tokenEndpoint: 'https://evil.example/token' }, { revocationEndpoint: 'https://evil.example/revoke' }, { revocationEndpoint: null }]) {
      const { get, book, clock, metadata, issuer } = await rig({ ...change, jwksUri: 'https://evil.example/keys' });
      const sentTo: string[] = [];
      const inner = issuer.refresh.bind(issuer);
      issuer.refresh = (client, ...rest) => {
        sentTo.push(client.server.tokenEndpoint);
        return inner(client, ...rest);
      };
      await get(work);
      await settle();
      await clock.advance(DAY / 2);
      await get(work);
      expect(new Set(sentTo)).toEqual(new Set(['https://issuer.example/token']));
      expect(book.get(profileName('work'))?.server).toEqual(stale.server);
      expect(metadata.moved()).toEqual(['work']);
    }
  });

  it('is left alone where the endpoints were written out, and where the issuer does not answer', async () => {
    const written = someProfile({ traits: someTraits({ metadata: 'none' }) });
    const one = await rig({}, written);
    await one.get(written);
    await settle();
    expect(one.asked()).toBe(0);
    const two = await rig({});
    two.issuer.discover = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'dns', timedOut: false });
    await two.get(work);
    await settle();
    expect(two.log.lines).toContainEqual(expect.objectContaining({ event: 'metadata_not_renewed' }));
  });
});
