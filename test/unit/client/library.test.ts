import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../../client/index.ts';
import type { LoginView } from '../../../shared/schemas.ts';
import { complete, login } from './fake-world.ts';
import { privateDirectory, reply, standIn } from './stand-in.ts';
import type { Answer, StandIn } from './stand-in.ts';

let server: StandIn | null = null;
async function clientOf(answer: Answer) {
  server = await standIn(answer);
  return connect({ socket: server.socket });
}
afterEach(async () => {
  vi.unstubAllEnvs();
  await server?.close();
});

/** POST starts this login, GET completes it. */
const daemonWith = (started: LoginView): Answer => ({ verb }, response) => reply(response, verb === 'POST' ? started : verb === 'GET' ? complete : { ok: true });
const verbs = () => server?.seen.map(({ verb, path }) => `${verb} ${path}`);

describe('login', () => {
  it('opens the profile\'s browser and resolves to who signed in', async () => {
    const file = join(privateDirectory(), 'opened');
    const browser = [process.execPath, '-e', `require('node:fs').writeFileSync(${JSON.stringify(file)}, process.argv[1])`, '{url}'];
    const client = await clientOf(daemonWith({ ...login, browser }));
    expect(await client.login('work', { scopes: ['read'], login_hint: 'ada' })).toMatchObject({ state: 'complete', subject: { sub: 'u1' } });
    expect(readFileSync(file, 'utf8')).toBe(login.start_url);
    expect(server?.seen[0]?.body).toEqual({ profile: 'work', scopes: ['read'], login_hint: 'ada' });
    client.close();
  });

  it('hands the link to the caller\'s own opener, and nothing else is opened', async () => {
    const links: string[] = [];
    const client = await clientOf(daemonWith({ ...login, browser: ['/nonexistent'] }));
    await client.login('work', { openBrowser: (link) => { links.push(link); } });
    expect(links).toEqual([login.start_url]);
    client.close();
  });

  it('cancels the login when the browser fails', async () => {
    const client = await clientOf(daemonWith({ ...login, browser: ['/nonexistent/browser'] }));
    await expect(client.login('work')).rejects.toMatchObject({ code: 'browser_failed' });
    expect(verbs()).toEqual(['POST /v1/logins', `DELETE /v1/logins/${login.id}`]);
    client.close();
  });

  it('cancels a device login whose code nobody could see', async () => {
    const { start_url: _, ...rest } = login;
    const device = { user_code: 'U-EXAMPLE', verification_uri: 'https://x', verification_uri_complete: null, verification_host: 'x' };
    const client = await clientOf(daemonWith({ ...rest, flow: 'device_code', device }));
    await expect(client.login('work')).rejects.toMatchObject({ code: 'flow_refused' });
    expect(verbs()?.at(-1)).toBe(`DELETE /v1/logins/${login.id}`);
    client.close();
  });

  it('keeps no other account unless the caller says so', async () => {
    const client = await clientOf(({ verb, path }, response) => reply(response, path.endsWith('/confirm') ? complete : verb === 'POST' ? login : { ...login, state: 'confirm_subject' }));
    await client.login('work', { openBrowser: () => undefined });
    expect(server?.seen.at(-1)).toMatchObject({ path: `/v1/logins/${login.id}/confirm`, body: { accept: false } });
    client.close();
  });

  it('an abort cancels it at the daemon and rejects with the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const client = await clientOf(({ verb }, response) => {
      if (verb === 'GET') controller.abort(reason);
      else reply(response, verb === 'POST' ? login : { ok: true });
    });
    await expect(client.login('work', { openBrowser: () => undefined, signal: controller.signal })).rejects.toBe(reason);
    await vi.waitFor(() => expect(verbs()?.at(-1)).toBe(`DELETE /v1/logins/${login.id}`), { timeout: 15_000 });
    client.close();
  });
});

it('a token of what is neither a name nor a request is refused before anything is sent', async () => {
  const client = await clientOf((_, response) => reply(response, {}));
  for (const wrong of [7, undefined, null, true, []]) {
    await expect(client.getToken(wrong as unknown as string)).rejects.toMatchObject({ code: 'bad_request', detail: expect.stringContaining('the name of a profile') as string });
  }
  expect(server?.connections()).toBe(0);
  client.close();
});

it('no variable leads a client to another socket', async () => {
  const client = await clientOf((_, response) => reply(response, {}));
  client.close();
  for (const name of ['VALETKEY_SOCKET', 'VALETKEY_SOCK', 'VALETKEY_HOST']) vi.stubEnv(name, server?.socket ?? '');
  const base = privateDirectory();
  for (const name of ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME']) vi.stubEnv(name, base);
  await expect(connect({ startDaemon: false }).status()).rejects.toMatchObject({ code: 'daemon_unreachable' });
  expect(server?.connections()).toBe(0);
  expect(existsSync(join(base, 'valetkey'))).toBe(false);
});
