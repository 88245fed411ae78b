/** A resource that wants a stronger sign-in, met by the real binaries. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const GOLD = 'Bearer realm="pay", error="insufficient_user_authentication", acr_values="gold", max_age="3600"';
type Reply = { readonly access_token: string; readonly acr?: string | null; readonly auth_time?: number };

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('[SU-01] a resource that wants more than the sign-in was', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let resource: Server;
  let url = '';
  /** What the issuer reaches where gold is asked for. */
  let reaches: string | null = 'gold';
  let low = '';

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer({ acrValues: ['gold', 'platinum'], signIn: () => (reaches === null ? {} : { acr: reaches }), clients: [{ id: 'cli' }] });
    // It takes every token of the issuer but the ordinary one, and asks for gold.
    resource = createServer((request, response) => {
      const token = request.headers.authorization?.slice('Bearer '.length);
      if (token === low) response.writeHead(401, { 'www-authenticate': ['Basic realm="x"', GOLD] }).end();
      else issuer.introspect(token ?? '').then(({ active, sub }) => response.writeHead(active ? 200 : 401).end(String(sub)), () => response.writeHead(500).end());
    }).listen(0, '127.0.0.1');
    await once(resource, 'listening');
    url = `http://127.0.0.1:${(resource.address() as AddressInfo).port}`;
    const added = await home.valetkey([
      'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--scope', 'read', '--scope', 'write', '--allow-loopback-http', '--redirect-path', '/callback',
      ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]),
    ]);
    expect(added).toMatchObject({ exit: 0 });
    expect(await home.atTerminal(['login', 'work'])).toMatchObject({ exit: 0 });
    low = (await home.valetkey(['token', 'work'])).stdout.trim();
  });
  afterAll(async () => {
    await home?.leave();
    resource?.close();
    await issuer?.close();
  });

  const ordinary = async (): Promise<string> => (await home.valetkey(['token', 'work'])).stdout.trim();
  const signIns = (): number => issuer.count('par');

  it('without a person is told what to run, and starts nothing', async () => {
    const before = signIns();
    const { exit, stdout, stderr } = await home.valetkey(['token', 'work', '--challenge', GOLD]);
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expect(stderr).toContain('Run in a terminal: valetkey token work --challenge "$WWW_AUTHENTICATE"');
    expect((await home.valetkey(['token', 'work', '--challenge', 'Bearer error="invalid_token"'])).exit).toBe(2);
    expect(signIns()).toBe(before);
  });

  it('has the person sign in, and a routine call afterwards gets the low token', async () => {
    const { exit, stdout } = await home.atTerminal(['token', 'work', '--challenge', GOLD, '--json']);
    expect(exit).toBe(0);
    const high = JSON.parse(/^\{[\s\S]*^\}/m.exec(stdout)?.[0] ?? '') as Reply;
    expect(high).toMatchObject({ acr: 'gold' });
    expect(Math.abs((high.auth_time ?? 0) - Date.now() / 1000)).toBeLessThan(600);
    expect(await (await fetch(url, { headers: { authorization: `Bearer ${high.access_token}` } })).text()).toBe('ada');
    expect(await ordinary()).toBe(low);
    const before = signIns();
    expect(await home.valetkey(['token', 'work', '--challenge', GOLD])).toMatchObject({ stdout: `${high.access_token}\n`, stderr: expect.stringContaining('The sign-in behind it is of class gold, proved') as string });
    expect(signIns()).toBe(before);
    expect((await home.valetkey(['grants', 'work'])).stdout).toContain('Ends');
  });

  it('stops at two sign-ins where the issuer never meets it', async () => {
    reaches = null;
    const before = signIns();
    const platinum = GOLD.replace('gold', 'platinum');
    const { exit, stdout } = await home.atTerminal(['token', 'work', '--challenge', platinum]);
    expect({ exit, stdout }).toEqual({ exit: 5, stdout: expect.stringContaining('(stepup_unmet)') as string });
    expect(signIns() - before).toBe(2);
    expect((await home.atTerminal(['token', 'work', '--challenge', platinum])).exit).toBe(5);
    expect(signIns() - before).toBe(2);
    expect(await ordinary()).toBe(low);
    expect((await home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
    low = await ordinary();
    reaches = 'gold';
  });
});
