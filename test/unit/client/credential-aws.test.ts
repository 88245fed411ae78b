/** The process that AWS tools run, against an STS on loopback. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { TokenReply } from '../../../shared/schemas.ts';
import { startSts } from '../../support/sts-server.ts';
import { NOW, run } from './fake-world.ts';
import type { Fakes } from './fake-world.ts';

const token: TokenReply = {
  profile: 'work', access_token: 'at-EXAMPLE', token_type: 'bearer', expires_at: NOW + 600, scope: 'read', resource: null, source: 'cache', granted_beyond: [], rule: 'shipped/login-session',
};
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const aws = (url: string, more: Partial<Fakes> = {}, role = 'arn:aws:iam::123456789012:role/developer'): ReturnType<typeof run> =>
  run(['credential', 'aws', '--profile', 'work', '--role', role, '--url', url], { api: { token: () => token }, ...more });

async function sts(edit?: (xml: string) => string, good = true): ReturnType<typeof startSts> {
  const server = await startSts(async (held) => good && held === 'at-EXAMPLE', edit);
  closing.push(server.close);
  return server;
}

describe('valetkey credential aws', () => {
  it('answers with keys that have an end, for one request that holds the token in its body', async () => {
    const server = await sts();
    const { exit, stdout, stderr } = await aws(server.url);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/) as string, SecretAccessKey: 'secret-EXAMPLE', SessionToken: expect.any(String) as string, Expiration: expect.stringMatching(/^\d{4}-.*Z$/) as string });
    expect(server.seen.map((asked) => Object.fromEntries(asked))).toEqual([{ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: 'arn:aws:iam::123456789012:role/developer', RoleSessionName: 'valetkey-work', WebIdentityToken: 'at-EXAMPLE' }]);
  });

  it('says what STS said, without the token that it repeats', async () => {
    const { exit, stdout, stderr } = await aws((await sts(undefined, false)).url);
    expect({ exit, stdout }).toEqual({ exit: 7, stdout: '' });
    expect(stderr).toContain('InvalidIdentityToken: No such token <[token]>');
    expect(stderr).not.toContain('at-EXAMPLE');
  });

  it.each([
    ['without a secret', (xml: string) => xml.replace(/<SecretAccessKey>.*<\/SecretAccessKey>/, '')], ['without an end', (xml: string) => xml.replace(/<Expiration>.*<\/Expiration>/, '')],
    ['with an end that is none', (xml: string) => xml.replace(/<Expiration>.*<\/Expiration>/, '<Expiration>soon</Expiration>')], ['that are no XML', () => '{}'],
  ])('gives no keys %s', async (_, edit) => {
    expect(await aws((await sts(edit)).url)).toMatchObject({ exit: 7, stdout: '', stderr: expect.stringContaining('holds no keys') as string });
  });

  it('takes no answer without end', async () => {
    expect(await aws((await sts((xml) => xml + ' '.repeat(70_000))).url)).toMatchObject({ exit: 6, stdout: '', stderr: expect.stringContaining('longer than 65536 bytes') as string });
  });

  it('[MC-03] follows no redirect', async () => {
    const elsewhere = await sts();
    const server = createServer((_, response) => response.writeHead(307, { location: `${elsewhere.url}/` }).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(() => resolve())));
    expect(await aws(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).toMatchObject({ exit: 6, stdout: '' });
    expect(elsewhere.seen).toEqual([]);
  });

  it.each(['http://sts.amazonaws.com', 'sts.amazonaws.com', 'https://a:b@sts.amazonaws.com'])('[MC-03] asks for no token where STS would be %s', async (url) => {
    expect(await aws(url)).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });

  it.each(['developer', 'arn:aws:iam::1:role/x', 'arn:aws:iam::123456789012:user/x', 'arn:aws:iam::123456789012:role/x y'])('takes no %s for a role', async (role) => {
    expect(await aws('https://sts.amazonaws.com', {}, role)).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });

  it('says what to do where it has no token', async () => {
    const refused = await aws((await sts()).url, { api: { token: () => { throw ValetkeyError.local('login_required', 'no grant', { reason: 'never_signed_in' }); } } });
    expect(refused).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringContaining('login_required') as string });
  });
});
