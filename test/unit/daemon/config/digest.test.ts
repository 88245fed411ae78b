import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../../shared/names.ts';
import { bindingDigest } from '../../../../daemon/config/digest.ts';
import type { Binding } from '../../../../daemon/config/digest.ts';
import { readConfig } from '../../../../daemon/config/read.ts';
import { CA_ONE, CA_TWO } from './test-certificates.ts';

const LINES = {
  issuer: 'issuer = "https://issuer.example.com"', client_id: 'client_id = "cli"', client_auth: 'client_auth = "none"', ca_file: 'ca_file = "/ca/both.pem"', proxy: 'proxy = "http://proxy.example.com:3128"',
};
const FILES: Readonly<Record<string, string>> = {
  '/ca/both.pem': `${CA_ONE}${CA_TWO}`,
  '/ca/other-way-round.pem': `# two, one, and two again\r\n${CA_TWO}\n\n${CA_ONE}# end\n${CA_TWO}`,
  '/ca/crlf.pem': `${CA_ONE}${CA_TWO}`.replaceAll('\n', '\r\n'),
  '/ca/one.pem': CA_ONE,
};

async function digestOf(lines: readonly string[], name = 'work'): Promise<string> {
  const text = `[profiles.${name}]\n${lines.join('\n')}\n`;
  const config = await readConfig({
    file: '/c', now: 0 as EpochMs, uid: 1, home: '/h',
    readFile: (path) => Promise.resolve(path === '/c' ? { text, uid: 1, mode: 0o600 } : { text: FILES[path] ?? '', uid: 1, mode: 0o600 }),
  });
  return [...config.profiles.values()][0]?.digest ?? '';
}

const all = (changes: Partial<typeof LINES> = {}): string[] => Object.values({ ...LINES, ...changes });
const WRITTEN = [
  'preset = "oauth"', 'issuer = "https://issuer.example.com"', 'client_id = "cli"', 'pkce = "asserted"',
  'authorization_endpoint = "https://issuer.example.com/a"', 'token_endpoint = "https://issuer.example.com/t"',
  'revocation_endpoint = "https://issuer.example.com/r"', 'device_authorization_endpoint = "https://issuer.example.com/d"',
];

describe('the binding digest', () => {
  it.each([
    ['issuer', all({ issuer: 'issuer = "https://issuer.example.com/"' })],
    ['client', all({ client_id: 'client_id = "clj"' })],
    ['client authentication', all({ client_auth: 'client_auth = "client_secret_post"' })],
    ['one certificate less', all({ ca_file: 'ca_file = "/ca/one.pem"' })],
    ['no CA file', all({ ca_file: '' })],
    ['proxy', all({ proxy: 'proxy = "http://proxy.example.com:3129"' })],
    ['no proxy', all({ proxy: '' })],
  ])('is another with another %s', async (_, lines) => {
    expect(await digestOf(lines)).not.toBe(await digestOf(all()));
  });

  it.each(['authorization', 'token', 'revocation', 'device_authorization'])('is another with another written %s endpoint', async (which) => {
    const before = await digestOf(WRITTEN);
    const changed = WRITTEN.map((line) => (line.startsWith(`${which}_endpoint`) ? line.replace('.com/', '.com/x') : line));
    expect(changed).not.toEqual(WRITTEN);
    expect(await digestOf(changed)).not.toBe(before);
    expect(await digestOf(WRITTEN.map((line) => line.replace('/r"', '/d"').replace('device', 'revocation')).slice(0, 7))).not.toBe(before);
  });

  it.each([
    ['name', all(), 'other'],
    ['order of keys', all().reverse(), 'work'],
    ['comment', ['# a comment', ...all().map((line) => `${line} # and another`)], 'work'],
    ['preset with the same effect', ['preset = "oidc"', ...all()], 'work'],
    ['scopes', [...all(), 'scopes = ["a", "b"]'], 'work'],
    ['resource', [...all(), 'resource = "https://api.example.com"'], 'work'],
    ['flow', [...all(), 'flow = "device"'], 'work'],
    ['browser', [...all(), 'browser = ["firefox"]'], 'work'],
    ['redirect ports and path', [...all(), 'redirect_ports = [9001]', 'redirect_path = "/x"'], 'work'],
    ['authorization parameters', [...all(), 'authorization_params = { prompt = "login" }'], 'work'],
    ['grace and default life', [...all(), 'refresh_grace_s = 5', 'default_expires_in_s = 5'], 'work'],
    ['place of the CA file, order and comments in it', all({ ca_file: 'ca_file = "/ca/other-way-round.pem"' }), 'work'],
    ['line ends of the CA file', all({ ca_file: 'ca_file = "/ca/crlf.pem"' }), 'work'],
  ])('is the same with another %s', async (_, lines, name) => {
    expect(await digestOf(lines, name)).toBe(await digestOf(all()));
  });

  it('is the SHA-256 of a fixed layout: a change of it would void every grant', () => {
    const binding: Binding = {
      issuer: 'https://i', clientId: 'c', clientAuth: 'none', caPem: null, proxy: null,
      endpoints: { authorization: 'https://i/a', token: 'https://i/t', revocation: null, deviceAuthorization: null },
    };
    const layout = '["valetkey-binding-1","https://i","c","none",["https://i/a","https://i/t",null,null],null,null]';
    expect(bindingDigest(binding)).toBe(createHash('sha256').update(layout).digest('hex'));
  });

  it('does not let one value run into the next', () => {
    const base: Binding = { issuer: 'https://i', clientId: 'c', clientAuth: 'none', caPem: null, proxy: null, endpoints: null };
    expect(bindingDigest({ ...base, clientId: 'c","none' })).not.toBe(bindingDigest(base));
    expect(bindingDigest({ ...base, proxy: 'null' })).not.toBe(bindingDigest(base));
  });
});
