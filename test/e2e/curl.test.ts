/** The installed curl with what the built CLI prints for it, at a server that asks the issuer about each token. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const OBSTACLE = toolObstacle('curl', 'Debian package curl');

describe.skipIf(OBSTACLE !== null)('curl with a token that is on no command line', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  const servers: Server[] = [];
  const urls: string[] = [];
  /** The Authorization header of each request, by server. */
  const seen: (string | null)[][] = [[], []];

  beforeAll(async () => {
    rig = await makeToolRig();
    for (const at of [0, 1]) {
      const server = createServer((request, response) => {
        const header = request.headers.authorization ?? null;
        seen[at]?.push(header);
        if (request.url === '/away') return response.writeHead(302, { location: `${urls[1] ?? ''}/` }).end();
        return void rig.isGood(/^Bearer (\S+)$/.exec(header ?? '')?.[1] ?? '').then((good) => response.writeHead(good ? 200 : 401).end(good ? 'ada is known' : ''), () => response.writeHead(500).end());
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await rig.close();
  });

  const get = (address: string, flags = ''): Promise<Finished> =>
    rig.run('sh', ['-c', `valetkey credential curl --profile work --url "$1" "$2" | curl --no-progress-meter --fail --max-time 20 ${flags} --config -`, 'sh', urls[0] ?? '', address]);

  it('is let in as who signed in', async () => {
    expect(await get(`${urls[0]}/x?y=[1-3]`)).toMatchObject({ exit: 0, stdout: 'ada is known', stderr: '' });
    expect(seen[0]).toHaveLength(1);
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('[MC-03] takes its token to no other server, by its address or by a redirect', async () => {
    expect((await get(`${urls[1]}/`)).exit).not.toBe(0);
    expect((await get(`${urls[0]}/away`, '--location')).exit).not.toBe(0);
    expect(seen[1]).toEqual([null]);
  });

  it('asks for nothing, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const before = seen[0]?.length;
    const { exit, stderr } = await get(`${urls[0]}/`);
    expect(exit).not.toBe(0);
    expect(stderr).toContain('valetkey login work');
    expect(seen[0]?.length).toBe(before);
  });
});
