import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { TokenReply } from '../../../shared/schemas.ts';
import { NOW, profile, run } from './fake-world.ts';
import type { Fakes } from './fake-world.ts';

const token: TokenReply = {
  profile: 'work', access_token: 'at-EXAMPLE', token_type: 'bearer', expires_at: NOW + 600, scope: 'read', resource: null, source: 'cache', granted_beyond: [], rule: 'shipped/login-session',
};
const URL_FLAGS = ['--profile', 'work', '--url', 'https://git.example.com'];
const git = (operation: string, lines: readonly string[], more: Partial<Fakes> = {}, flags: readonly string[] = URL_FLAGS): ReturnType<typeof run> =>
  run(['credential', 'git', ...flags, operation], { api: { token: () => token }, stdin: [...lines, ''].join('\n'), ...more });
const HERE = ['protocol=https', 'host=git.example.com'];
const BASIC = `username=oauth2\npassword=at-EXAMPLE\npassword_expiry_utc=${NOW + 600}\n`;
const BEARER = `capability[]=authtype\nauthtype=Bearer\ncredential=at-EXAMPLE\nephemeral=true\npassword_expiry_utc=${NOW + 600}\n`;

describe('valetkey credential git', () => {
  it.each([
    ['a git that knows no schemes', HERE, BASIC],
    ['one that does, of a server that offers none', [...HERE, 'capability[]=authtype'], BASIC],
    ['a server that offers Bearer to a git that cannot send it', [...HERE, 'wwwauth[]=Bearer realm="x"'], BASIC],
    ['a server that offers Bearer', [...HERE, 'capability[]=authtype', 'capability[]=state', 'wwwauth[]=Basic realm="a=b"', 'wwwauth[]=bearer realm="x"'], BEARER],
    ['a capability that was taken back', [...HERE, 'capability[]=authtype', 'capability[]=', 'wwwauth[]=Bearer'], BASIC],
    ['a name in the URL', [...HERE, 'username=ada'], BASIC.replace('oauth2', 'ada')],
    ['a host in capitals, with the port of https', ['protocol=https', 'host=GIT.example.com:443'], BASIC],
    ['whatever it says beside that', ['unknown=x', ...HERE, 'path=a/b=c.git', 'state[]=z'], BASIC],
  ])('answers %s', async (_, lines, answer) => {
    expect(await git('get', lines)).toMatchObject({ exit: 0, stdout: answer, stderr: '' });
  });

  it.each([
    ['another host', ['protocol=https', 'host=evil.example.com']], ['another port', ['protocol=https', 'host=git.example.com:8443']],
    ['no TLS', ['protocol=http', 'host=git.example.com']], ['another protocol', ['protocol=ssh', 'host=git.example.com']],
    ['a name before the host', ['protocol=https', 'host=git.example.com@evil.example.com']], ['a path behind it', ['protocol=https', 'host=git.example.com/x']],
    ['the host said twice', [...HERE, 'host=evil.example.com']], ['no host', ['protocol=https']], ['no protocol', ['host=git.example.com']], ['nothing', []],
  ])('[MC-03] has nothing for %s, and does not ask for a token', async (_, lines) => {
    const { exit, stdout, calls } = await git('get', lines);
    expect({ exit, stdout, calls }).toEqual({ exit: 0, stdout: '', calls: [] });
  });

  it('takes the resource of the profile for the only server, where no other is named', async () => {
    const api = { token: () => token, profiles: () => ({ profiles: [profile] }) };
    expect((await git('get', ['protocol=https', 'host=api.example.com'], { api }, ['--profile', 'work'])).stdout).toBe(BASIC);
    expect((await git('get', HERE, { api }, ['--profile', 'work'])).stdout).toBe('');
    const none = await git('get', HERE, { api: { ...api, profiles: () => ({ profiles: [{ ...profile, resource: null }] }) } }, ['--profile', 'work']);
    expect(none).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('--url https://git.example.com') as string });
    const unknown = await git('get', HERE, { api: { ...api, profiles: () => ({ profiles: [] }) } }, ['--profile', 'work']);
    expect(unknown).toMatchObject({ exit: 8, stdout: '', stderr: expect.stringContaining('there is no profile work') as string });
  });

  it.each(['http://git.example.com', 'git.example.com', 'https://ada:x@git.example.com', 'ftp://git.example.com'])('takes no %s for a server', async (url) => {
    expect(await git('get', HERE, {}, ['--profile', 'work', '--url', url])).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });

  it('lets git ask nobody for a password where it has no token, and says what to do', async () => {
    const refused = await git('get', HERE, { api: { token: () => { throw ValetkeyError.local('login_required', 'no grant', { reason: 'never_signed_in' }); } } });
    expect(refused).toMatchObject({ exit: 3, stdout: 'quit=true\n', stderr: expect.stringContaining('login_required') as string });
  });

  it('gives no token that would be another line', async () => {
    expect(await git('get', HERE, { api: { token: () => ({ ...token, access_token: 'a\nhost=evil.example.com' }) } })).toMatchObject({ exit: 7, stdout: 'quit=true\n' });
  });

  it.each([['password=at-EXAMPLE'], ['credential=at-EXAMPLE']])('has a token refreshed that a server refused: %s', async (used) => {
    const { exit, stdout, calls } = await git('erase', [...HERE, used]);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' });
    expect(calls).toEqual([['token', { profile: 'work', interaction: 'never' }], ['token', { profile: 'work', interaction: 'never', force: true }]]);
  });

  it.each([['that is not the one of now', [...HERE, 'password=old']], ['of another server', ['protocol=https', 'host=evil.example.com', 'password=at-EXAMPLE']], ['that it does not tell', HERE]])('refreshes nothing for a token %s', async (_, lines) => {
    const { exit, calls } = await git('erase', lines);
    expect(exit).toBe(0);
    expect(calls.filter(([, request]) => (request as { force?: true }).force === true)).toEqual([]);
  });

  it.each(['store', 'capability', 'whatever-comes'])('does nothing at %s', async (operation) => {
    expect(await git(operation, [...HERE, 'password=at-EXAMPLE'])).toMatchObject({ exit: 0, stdout: '', calls: [] });
  });

  it('says that it is git\'s to call', async () => {
    expect(await git('get', ['what is this'])).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('git help credentials') as string });
  });
});

type Asked = { readonly apiVersion?: string; readonly kind?: string; readonly spec?: object };
const CLUSTER = { server: 'https://k8s.example.com:6443', 'certificate-authority-data': 'QQ==', config: null };
const execInfo = ({ apiVersion = 'client.authentication.k8s.io/v1', kind = 'ExecCredential', spec = { interactive: false, cluster: CLUSTER } }: Asked = {}): string => JSON.stringify({ apiVersion, kind, spec });
const kubectl = (info: string, more: Partial<Fakes> = {}, url = 'https://k8s.example.com:6443'): ReturnType<typeof run> =>
  run(['credential', 'kubectl', '--profile', 'work', '--url', url], { api: { token: () => token }, env: info === '' ? {} : { KUBERNETES_EXEC_INFO: info }, ...more });

describe('valetkey credential kubectl', () => {
  it.each(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'])('answers in the version that was asked in: %s', async (apiVersion) => {
    const { exit, stdout, stderr, calls } = await kubectl(execInfo({ apiVersion }));
    expect({ exit, stderr, calls }).toEqual({ exit: 0, stderr: '', calls: [['token', { profile: 'work', interaction: 'never' }]] });
    expect(JSON.parse(stdout)).toEqual({ apiVersion, kind: 'ExecCredential', status: { token: 'at-EXAMPLE', expirationTimestamp: '2027-01-15T08:10:00Z' } });
  });

  it('asks nobody, also where kubectl would lend its terminal', async () => {
    const { exit, questions, calls } = await kubectl(execInfo({ spec: { interactive: true, cluster: CLUSTER } }), { terminal: true, person: ['yes'] });
    expect({ exit, questions, calls }).toEqual({ exit: 0, questions: [], calls: [['token', { profile: 'work', interaction: 'never' }]] });
  });

  it.each([
    ['without a question', '', 'kubectl calls this by itself'], ['in what is no JSON', 'v1', 'apiVersion: client.authentication.k8s.io/v1'], ['in another kind', execInfo({ kind: 'Secret' }), 'ExecCredential'],
    ['in a version that has no end of a token', execInfo({ apiVersion: 'client.authentication.k8s.io/v1alpha1' }), 'apiVersion: client.authentication.k8s.io/v1'],
    ['where no cluster is named', execInfo({ spec: { interactive: false } }), 'provideClusterInfo: true'], ['where the server is no URL', execInfo({ spec: { cluster: { server: 'k8s' } } }), 'no server'],
    ['for a server that goes unchecked', execInfo({ spec: { cluster: { ...CLUSTER, 'insecure-skip-tls-verify': true } } }), 'certificate-authority'],
    ['for another server', execInfo({ spec: { cluster: { ...CLUSTER, server: 'https://evil.example.com:6443' } } }), 'https://evil.example.com:6443'],
    ['for another port', execInfo({ spec: { cluster: { ...CLUSTER, server: 'https://k8s.example.com' } } }), 'is for https://k8s.example.com:6443'],
    ['for the same without TLS', execInfo({ spec: { cluster: { ...CLUSTER, server: 'http://k8s.example.com:6443' } } }), 'is for https://k8s.example.com:6443'],
  ])('[MC-03] has nothing %s, and does not ask for a token', async (_, info, says) => {
    const { exit, stdout, stderr, calls } = await kubectl(info);
    expect({ exit, stdout, calls }).toEqual({ exit: 2, stdout: '', calls: [] });
    expect(stderr).toContain(says);
  });

  it('says what to do where it has no token', async () => {
    const refused = await kubectl(execInfo(), { api: { token: () => { throw ValetkeyError.local('login_required', 'no grant', { reason: 'never_signed_in' }); } } });
    expect(refused).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringContaining('login_required') as string });
  });
});

const docker = (operation: string, stdin: string, more: Partial<Fakes> = {}, flags: readonly string[] = []): ReturnType<typeof run> =>
  run(['credential', 'docker', '--profile', 'work', '--url', 'https://registry.example.com', ...flags, operation], { api: { token: () => token }, stdin, ...more });

describe('valetkey credential docker', () => {
  it.each(['registry.example.com', 'registry.example.com\n', 'https://registry.example.com', 'https://registry.example.com/v1/', 'registry.example.com/team/project', 'REGISTRY.example.com', 'registry.example.com:443'])('answers for %j', async (named) => {
    const { exit, stdout, stderr } = await docker('get', named);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ ServerURL: named.trim(), Username: 'oauth2', Secret: 'at-EXAMPLE' });
  });

  it.each(['evil.example.com', 'registry.example.com:5000', 'http://registry.example.com', 'registry.example.com@evil.example.com', 'https://ada:x@registry.example.com', 'registry.example.com.evil.example.com', ''])('[MC-03] says of %j that it has nothing, and does not ask for a token', async (named) => {
    const { exit, stdout, calls } = await docker('get', named);
    expect({ exit, stdout, calls }).toEqual({ exit: 1, stdout: 'credentials not found in native keychain\n', calls: [] });
  });

  it('says where docker shows it what to do where it has no token, and does not let it go on without', async () => {
    const refused = await docker('get', 'registry.example.com', { api: { token: () => { throw ValetkeyError.local('login_required', 'no \u001b[31mgrant', { reason: 'never_signed_in', hint: 'Run: valetkey login work' }); } } });
    expect(refused).toMatchObject({ exit: 3, stderr: expect.stringContaining('login_required') as string });
    expect(refused.stdout).toMatch(/^login_required: no [^\u001b]*grant\. Run: valetkey login work\n$/);
  });

  it('never says that a refresh token follows', async () => {
    expect(await docker('get', 'registry.example.com', {}, ['--username', '<token>'])).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });

  it('lists its registry, and takes back what docker got from it', async () => {
    expect((await docker('list', '')).stdout).toBe('{"registry.example.com":"oauth2"}\n');
    expect(await docker('store', JSON.stringify({ ServerURL: 'registry.example.com', Username: 'oauth2', Secret: 'at-EXAMPLE' }))).toMatchObject({ exit: 0, stdout: '', calls: [] });
    expect(await docker('erase', 'registry.example.com')).toMatchObject({ exit: 0, stdout: '', calls: [], stderr: expect.stringContaining('valetkey logout work') as string });
    expect(await docker('erase', 'evil.example.com')).toMatchObject({ exit: 0, stdout: '', calls: [], stderr: '' });
  });

  it.each([
    ['a password', 'registry.example.com', 'bob'], ['what belongs to another registry', 'evil.example.com', 'oauth2'],
  ])('does not let %s be lost unsaid', async (_, ServerURL, Username) => {
    expect(await docker('store', JSON.stringify({ ServerURL, Username, Secret: 'x' }))).toMatchObject({ exit: 2, stdout: expect.stringContaining('nothing is kept here') as string });
  });

  it.each([['store', 'no JSON'], ['store', '{}'], ['forget', '']])('says that it is docker\'s to call: %s %s', async (operation, stdin) => {
    expect(await docker(operation, stdin)).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });
});

const cargo = (lines: readonly object[], more: Partial<Fakes> = {}, flags: readonly string[] = []): ReturnType<typeof run> =>
  run(['credential', 'cargo', '--profile', 'work', '--url', 'https://crates.example.com', ...flags], { api: { token: () => token }, stdin: lines.map((line) => JSON.stringify(line)).join('\n'), ...more });
const INDEX = 'sparse+https://crates.example.com/index/';
const read = (index = INDEX): object => ({ v: 1, kind: 'get', operation: 'read', registry: { 'index-url': index, name: 'work' }, args: [] });
const HELLO = '{"v":[1]}\n';

describe('valetkey credential cargo', () => {
  it.each([[INDEX], ['https://crates.example.com/git/index']])('says hello, and answers for %s with a token that has an end', async (index) => {
    const { exit, stdout, stderr } = await cargo([read(index)], {}, ['--cargo-plugin']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toBe(`${HELLO}{"Ok":{"kind":"get","token":"Bearer at-EXAMPLE","cache":"expires","expiration":${NOW + 600},"operation_independent":true}}\n`);
    expect((await cargo([read(index)], {}, ['--bare'])).stdout).toContain('"token":"at-EXAMPLE"');
  });

  it.each(['sparse+https://evil.example.com/index/', 'sparse+http://crates.example.com/index/', 'sparse+https://crates.example.com:8443/', 'https://crates.example.com.evil.example.com/', 'registry+https://crates.example.com/', 'ssh://crates.example.com/index', 'crates'])('[MC-03] lets cargo ask others for %s, and does not ask for a token', async (index) => {
    const { exit, stdout, calls } = await cargo([read(index)]);
    expect({ exit, calls }).toEqual({ exit: 0, calls: [] });
    expect(stdout).toMatch(/^\{"v":\[1\]\}\n\{"Err":\{"kind":"url-not-supported"/);
  });

  it('answers each line, also after one that failed', async () => {
    const { stdout } = await cargo([{ v: 1, kind: 'login', token: 'x', registry: { 'index-url': INDEX } }, { v: 1, kind: 'logout', registry: { 'index-url': INDEX } }, { v: 1, kind: 'whoami', registry: { 'index-url': INDEX } }, { v: 1, kind: 'login', registry: { 'index-url': 'sparse+https://evil.example.com/' } }, { v: 2, kind: 'get', registry: {} }, { v: 1, kind: 'get', registry: {} }, read()]);
    expect(stdout.trim().split('\n').slice(1).map((line) => /^\{"(\w+)":\{"kind":"([a-z-]+)"/.exec(line)?.slice(1)))
      .toEqual([['Err', 'other'], ['Err', 'other'], ['Err', 'operation-not-supported'], ['Err', 'url-not-supported'], ['Err', 'other'], ['Err', 'other'], ['Ok', 'get']]);
  });

  it('says what to do where it has no token, in the form that cargo shows', async () => {
    const { exit, stdout } = await cargo([read()], { api: { token: () => { throw ValetkeyError.local('login_required', 'no grant', { reason: 'never_signed_in', hint: 'Run: valetkey login work' }); } } });
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: `${HELLO}{"Err":{"kind":"other","message":"login_required: no grant","caused-by":["Run: valetkey login work"]}}\n` });
  });
});

const curl = (address: string, more: Partial<Fakes> = {}, url = 'https://api.example.com'): ReturnType<typeof run> =>
  run(['credential', 'curl', '--profile', 'work', '--url', url, address], { api: { token: () => token }, ...more });

describe('valetkey credential curl', () => {
  it('prints the URL with its token, and lets curl speak nothing but https', async () => {
    expect(await curl('https://api.example.com/a?b=[1-3]#c')).toMatchObject({ exit: 0, stderr: '', stdout: 'globoff\nurl = "https://api.example.com/a?b=[1-3]#c"\nproto = "=https"\noauth2-bearer = "at-EXAMPLE"\n' });
    expect((await curl('http://127.0.0.1:8080/', {}, 'http://127.0.0.1:8080')).stdout).toContain('proto = "=http"');
  });

  it('keeps a token with quotes, and an address with line breaks, in their own lines', async () => {
    const { stdout } = await curl('https://api.example.com/"\n--output /etc/x\\', { api: { token: () => ({ ...token, access_token: 'a"\\b' }) } });
    expect(stdout).toBe('globoff\nurl = "https://api.example.com/%22--output%20/etc/x/"\nproto = "=https"\noauth2-bearer = "a\\"\\\\b"\n');
  });

  it.each(['https://evil.example.com/', 'https://api.example.com:8443/', 'http://api.example.com/', 'https://api.example.com@evil.example.com/', 'https://ada:x@api.example.com/', 'api.example.com', 'file:///etc/passwd'])('[MC-03] prints nothing for %s, and does not ask for a token', async (address) => {
    expect(await curl(address)).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });
});

describe('valetkey credential pnpm', () => {
  it('prints the value of the header, or nothing', async () => {
    expect(await run(['credential', 'pnpm', '--profile', 'work'], { api: { token: () => token } })).toMatchObject({ exit: 0, stdout: 'Bearer at-EXAMPLE\n', stderr: '', calls: [['token', { profile: 'work', interaction: 'never' }]] });
    expect(await run(['credential', 'pnpm', '--profile', 'work'], { api: { token: () => ({ ...token, access_token: 'a\nb' }) } })).toMatchObject({ exit: 7, stdout: '' });
  });
});

const keyring = (args: readonly string[], more: Partial<Fakes> = {}): ReturnType<typeof run> =>
  run(['credential', 'keyring', '--profile', 'work', '--url', 'https://pypi.example.com', ...args], { api: { token: () => token }, ...more });

describe('valetkey credential keyring', () => {
  it.each(['https://pypi.example.com/simple', 'https://pypi.example.com/simple/', 'pypi.example.com', 'pypi.example.com:443', 'https://ada@pypi.example.com/simple'])('prints a password for %s', async (service) => {
    expect(await keyring(['get', service, 'ada'])).toMatchObject({ exit: 0, stdout: 'at-EXAMPLE\n', stderr: '' });
  });

  it('prints a name too, where it is asked for one', async () => {
    expect(await keyring(['get', 'https://pypi.example.com/simple', '--mode', 'creds'])).toMatchObject({ exit: 0, stdout: 'oauth2\nat-EXAMPLE\n' });
    expect(await keyring(['get', 'https://pypi.example.com/simple', 'ada', '--mode', 'creds'])).toMatchObject({ exit: 0, stdout: 'ada\nat-EXAMPLE\n' });
  });

  it.each(['https://evil.example.com/simple', 'https://pypi.example.com:8443', 'http://pypi.example.com', 'pypi.example.com@evil.example.com', 'https://pypi.example.com.evil.example.com', 'uv:https://pypi.example.com', 'pypi', ''])('[MC-03] has nothing for %j, and does not ask for a token', async (service) => {
    const { exit, stdout, calls } = await keyring(['get', service, 'oauth2']);
    expect({ exit, stdout, calls }).toEqual({ exit: 1, stdout: '', calls: [] });
  });

  it.each(['set', 'del'])('keeps no password: %s', async (operation) => {
    expect(await keyring([operation, 'pypi.example.com', 'ada'])).toMatchObject({ exit: 2, stdout: '', calls: [] });
  });
});
