import { describe, expect, it } from 'vitest';
import type { BrokerError } from '../../../../daemon/core/errors.ts';
import { readConfig } from '../../../../daemon/config/read.ts';
import type { Workload } from '../../../../daemon/core/workload.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { CA_ONE } from './test-certificates.ts';

const FILE = '/c/config.toml';
const BASE = '[workloads.backup]\nissuer = "https://issuer.example.com"\nclient_id = "backup"\n';
const read = (text: string) => readConfig({ file: FILE, now: 0 as EpochMs, uid: 1, home: '/home/ann', readFile: (path) => Promise.resolve({ text: path === FILE ? text : CA_ONE, uid: 1, mode: 0o600 }) });
const only = async (more: string): Promise<Workload> => {
  const [workload] = (await read(BASE + more)).workloads.values();
  if (workload === undefined) throw new Error('there is none');
  return workload;
};
const error = (text: string): Promise<BrokerError> => read(text).then(() => { throw new Error('it was taken'); }, (cause: BrokerError) => cause);

describe('[workloads.NAME]', () => {
  it('has a key of its own unless somebody vouches for it, and nothing of a sign-in', async () => {
    const workload = await only('');
    expect(workload).toMatchObject({ name: 'backup', issuer: 'https://issuer.example.com', clientId: 'backup', scopes: [], resource: null, tier: 'normal', auth: { kind: 'private_key_jwt' }, owner: null, purpose: null, expiresAt: null });
    for (const key of ['flow', 'browser', 'clientAuth', 'redirectPath', 'keepAliveS']) expect(workload).not.toHaveProperty(key);
    expect(workload.traits).toMatchObject({ pkce: 'unused', offlineScope: null, authorizationParams: {} });
    expect(() => Object.assign(workload, { issuer: 'https://other.example' })).toThrow(TypeError);
    expect((await read(BASE)).profiles.size).toBe(0);
  });

  it.each(['client_secret = "s3cret-EXAMPLE"', 'secret = "s3cret-EXAMPLE"', 'password = "s3cret-EXAMPLE"', 'api_key = "s3cret-EXAMPLE"'])('[WL-02] takes no static secret: %s', async (line) => {
    const { code, message, hint } = await error(BASE + line);
    expect({ code, message, hint }).toEqual({
      code: 'config_invalid', message: expect.stringMatching(/^\/c\/config\.toml:4:1: "\w+" in \[workloads\.backup\] is not a key: secrets do not belong in this file$/),
      hint: 'Take it out: a workload has a key of its own, made by: valetkey workload init backup',
    });
  });

  it.each(['client_auth = "client_secret_basic"', 'flow = "device"', 'flow = "pkce"', 'pkce = "asserted"', 'browser = ["firefox"]', 'redirect_ports = [1234]', 'keep_alive_s = 5', 'kind = "human"'])('[WL-02] takes nothing of a person\'s sign-in: %s', async (line) => {
    expect((await error(BASE + line)).message).toMatch(/"\w+" in \[workloads\.backup\] is not a key/);
  });

  it.each([
    ['assertion_file = "token"', 'must be an absolute path, or begin with ~/'], ['assertion_command = ["./token"]', 'must begin with an absolute path or the bare name of a command'],
    ['assertion_command = []', 'must not be empty'], ['assertion_file = "/t"\nassertion_command = ["t"]', 'keep one'], ['assertion_from = "github"', 'needs assertion_file or assertion_command'],
    ['assertion_audience = "x"', 'needs assertion_file or assertion_command'], ['assertion_file = "/t"\nassertion_from = "kubernets"', 'did you mean "kubernetes"?'],
    ['expires = "soon"', 'a day such as "2027-06-30"'], ['expires = "2027-13-01"', 'is not a day'], ['preset = "github"', 'use "oidc"'], ['preset = "nope"', 'is not the name of a preset'],
    ['scopes = ["a b"]', 'scope-token'], ['tenant = "x"', 'means nothing to this preset'],
  ])('refuses what could not be meant: %s', async (line, why) => {
    const { message } = await error(line.startsWith('preset = "github"') ? `[workloads.backup]\nclient_id = "backup"\n${line}` : BASE + line);
    expect(message.replace('use one that does, such as', 'use')).toContain(why);
  });

  it('names by whom it is vouched for, for the issuer alone unless it says otherwise', async () => {
    expect((await only('assertion_from = "spiffe"\nassertion_file = "~/svid"\nassertion_subject = "spiffe://example.com/x"')).auth).toEqual({
      kind: 'federated', from: 'spiffe', type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe', issuer: null, subjectPrefix: 'spiffe://', subject: 'spiffe://example.com/x',
      audience: 'https://issuer.example.com', source: { kind: 'file', path: '/home/ann/svid' },
    });
    expect((await only('assertion_command = ["kubectl", "create", "token", "x"]\nassertion_audience = "api://AzureADTokenExchange"')).auth).toMatchObject({ audience: 'api://AzureADTokenExchange', source: { kind: 'command', argv: ['kubectl', 'create', 'token', 'x'] } });
  });

  it('is bound to issuer and client by its key, and to CA and proxy by its cache', async () => {
    const [plain, proxied, trusted] = [await only(''), await only('proxy = "http://proxy.example.com:3128"'), await only('ca_file = "/ca.pem"')];
    expect(new Set([plain.keyDigest, proxied.keyDigest, trusted.keyDigest]).size).toBe(1);
    expect(new Set([plain.digest, proxied.digest, trusted.digest]).size).toBe(3);
    const other = [...(await read(BASE.replace('client_id = "backup"', 'client_id = "other"'))).workloads.values()][0];
    expect(other?.keyDigest).not.toBe(plain.keyDigest);
  });

  it('has a name that no profile has', async () => {
    expect((await error(`${BASE}[profiles.backup]\nissuer = "https://issuer.example.com"\nclient_id = "x"\n`)).message).toContain('"backup" in [workloads] is the name of a profile too');
  });
});
