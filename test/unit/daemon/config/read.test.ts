import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../../shared/names.ts';
import type { Config } from '../../../../daemon/core/domain.ts';
import { readConfig } from '../../../../daemon/config/read.ts';
import type { TextFile } from '../../../../daemon/config/files.ts';
import { CA_ONE, CA_TWO } from './test-certificates.ts';

const FILE = '/home/ann/.config/valetkey/config.toml';
const own = (text: string): TextFile => ({ text, uid: 1000, mode: 0o100600 });

function read(text: string | TextFile | null, others: Readonly<Record<string, TextFile>> = {}): Promise<Config> {
  const files: Readonly<Record<string, TextFile | null>> = { ...others, [FILE]: typeof text === 'string' ? own(text) : text };
  return readConfig({ file: FILE, now: 5 as EpochMs, uid: 1000, home: '/home/ann', readFile: (path) => Promise.resolve(files[path] ?? null) });
}

const profileOf = (config: Config, name: string) => [...config.profiles.values()].find((profile) => profile.name === name);
const WORK = '[profiles.work]\nissuer = "https://issuer.example.com"\nclient_id = "cli"\n';

describe('a configuration', () => {
  it('is empty, with every default, where there is no file', async () => {
    expect(await read(null)).toEqual({
      file: FILE, loadedAt: 5, profiles: new Map(), workloads: new Map(), deviceIssuers: [], vault: { backend: 'auto' },
      log: { level: 'info', format: 'text', file: null }, limits: { requestsPerSecond: 200, burst: 1000, connectionsPerProcess: 64 }, notifications: { desktop: true, sessionEndingS: 900 }, warnings: [],
    });
    expect(await read('')).toEqual(await read(null));
  });

  it('holds what was written', async () => {
    const config = await read(`
v = 1
[device]
issuers = ["https://issuer.example.com"]
[vault]
backend = "passphrase"
[log]
level = "debug"
format = "json"
file = "~/log/valetkey"
[limits]
requests_per_second = 10
burst = 20
connections_per_process = 3
${WORK}
browser = ["firefox", "--new-window", "{url}"]
flow = "device"
`);
    expect(config).toMatchObject({
      deviceIssuers: ['https://issuer.example.com'], vault: { backend: 'passphrase' },
      log: { level: 'debug', format: 'json', file: '/home/ann/log/valetkey' }, limits: { requestsPerSecond: 10, burst: 20, connectionsPerProcess: 3 }, notifications: { desktop: true, sessionEndingS: 900 }, warnings: [],
    });
    expect(profileOf(config, 'work')).toMatchObject({ name: 'work', preset: 'oidc', issuer: 'https://issuer.example.com', clientId: 'cli', browser: ['firefox', '--new-window', '{url}'], flow: 'device' });
  });

  it('cannot be changed by whoever reads it', async () => {
    const config = await read(WORK);
    const work = profileOf(config, 'work');
    expect(() => Object.assign(config, { vault: { backend: 'memory' } })).toThrow(TypeError);
    expect(() => Object.assign(work?.traits ?? {}, { pkce: 'asserted' })).toThrow(TypeError);
    expect(() => Object.assign(work?.traits.authorizationParams ?? {}, { prompt: 'none' })).toThrow(TypeError);
    expect(() => Object.assign(config.limits, { burst: 1 })).toThrow(TypeError);
  });

  it('takes a profile\'s name with a dot, a dotted key and an inline table', async () => {
    const config = await read('profiles.a.issuer = "https://a.example.com"\nprofiles.a.client_id = "x"\n');
    expect([...config.profiles.keys()]).toEqual(['a']);
    const quoted = await read('[profiles."a.b"]\nissuer = "https://a.example.com"\nclient_id = "x"\n[profiles]\nc = { issuer = "https://c.example.com", client_id = "y" }\n');
    expect([...quoted.profiles.keys()]).toEqual(['a.b', 'c']);
  });

  it('warns of a device preference that cannot be met and of a list entry without use', async () => {
    const config = await read(`${WORK}flow = "device"\n[device]\nissuers = ["https://other.example.com"]\n`);
    expect(config.warnings).toEqual([
      'profile work prefers the device flow, but [device] issuers does not list https://issuer.example.com',
      '[device] issuers lists https://other.example.com, which no profile uses',
    ]);
  });
});

describe('an error', () => {
  const wrong: readonly (readonly [string, string, string])[] = [
    ['broken TOML', 'v = 1\n[log\nlevel = "x"', `${FILE}:2:5: `],
    ['a key twice', 'v = 1\nv = 1', `${FILE}:2:1: `],
    ['an unknown key', 'v = 1\n\n[profiles.work]\nclient_id = "x"\n  isuer = "https://a.example.com"', `${FILE}:5:3: "isuer" in [profiles.work] is not a key; did you mean "issuer"? Allowed: preset, issuer, tenant, client_id,`],
    ['an unknown key in a log table', '[log]\n# level\nlevle = "info"', `${FILE}:3:1: "levle" in [log] is not a key; did you mean "level"? Allowed: level, format, file`],
    ['an unknown table', '# x\n[profile.work]\nclient_id = "x"', `${FILE}:2:2: "profile" is not a key; did you mean "profiles"? Allowed: v, profiles, workloads, device, vault, log, limits`],
    ['an unknown key far from any', '[vault]\nzzzzzzzz = 1', `${FILE}:2:1: "zzzzzzzz" in [vault] is not a key. Allowed: backend`],
    ['an unknown key in an inline table', '[profiles]\nwork = { client_id = "x", isuer = "y" }', `${FILE}:2:27: "isuer" in [profiles.work]`],
    ['a quoted key', '[profiles.work]\n"is\\u0075er" = 1', `${FILE}:2:1: "isuer" in [profiles.work]`],
    ['a missing key', '[vault]\n[profiles.work]\nissuer = "https://a.example.com"\n', `${FILE}:2:11: "client_id" in [profiles.work] is missing`],
    ['a value of the wrong type', '[profiles.work]\nclient_id = 5', `${FILE}:2:1: "client_id" in [profiles.work] must be text in quotes, not a number`],
    ['a client id that no request can carry', '[profiles.work]\nclient_id = "cl\u00efent"', `${FILE}:2:1: "client_id" in [profiles.work] must be printable ASCII characters (RFC 6749, appendix A.1)`],
    ['a client id with a line break', '[profiles.work]\nclient_id = "a\\nb"', `${FILE}:2:1: "client_id" in [profiles.work] must be printable ASCII characters`],
    ['a value that is none of the list', '[log]\nlevel = "loud"', `${FILE}:2:1: "level" in [log] must be one of "error", "warn", "info", "debug", not this text`],
    ['an array element of the wrong type', '[profiles.work]\nclient_id = "x"\nscopes = [\n  "a",\n  5,\n]', `${FILE}:3:1: "scopes" in [profiles.work] must be text in quotes, not a number`],
    ['a scope that is none', '[profiles.work]\nclient_id = "x"\nscopes = ["a b"]', `${FILE}:3:1: "scopes" in [profiles.work] must be a scope-token`],
    ['a number out of range', '[limits]\nburst = 0', `${FILE}:2:1: "burst" in [limits] must be at least 1`],
    ['a broken number', '[limits]\nburst = 1.5', `${FILE}:2:1: "burst" in [limits] must be a whole number`],
    ['a date', '[log]\nfile = 2026-11-23', `${FILE}:2:1: "file" in [log] must be text in quotes, not a date`],
    ['a table that is none', 'log = 5', `${FILE}:1:1: "log" must be a table, not a number`],
    ['profiles that are none', 'profiles = []', `${FILE}:1:1: "profiles" must be tables: [profiles.NAME]`],
    ['a profile that is none', '[profiles]\nwork = 1', `${FILE}:2:1: "work" in [profiles] must be a table, not a number`],
    ['an array of profiles', '[[profiles]]\nclient_id = "x"', `${FILE}:1:3: "profiles" must be tables`],
    ['a profile name in capitals', '[profiles.Work]\nclient_id = "x"', `${FILE}:1:11: "Work" in [profiles] is not a profile name`],
    ['a profile name that is a path', '[profiles."../x"]\nclient_id = "x"', `${FILE}:1:12: "../x" in [profiles] is not a profile name`],
    ['a version that is none', 'v = 0', `${FILE}:1:1: "v" must be 1`],
    ['a version in quotes', 'v = "1"', `${FILE}:1:1: "v" must be 1`],
    ['a relative log file', '[log]\nfile = "valetkey.log"', `${FILE}:2:1: "file" in [log] must be an absolute path, or begin with ~/`],
    ['somebody else\'s home', '[log]\nfile = "~bob/valetkey.log"', `${FILE}:2:1: "file" in [log] must be an absolute path`],
    ['a device issuer that is no URL', '[device]\nissuers = ["issuer.example.com"]', `${FILE}:2:1: "issuers" in [device] holds an entry that is not a URL`],
    ['a wrong parameter of its own', `${WORK}[profiles.work.authorization_params]\nprompt = "login"\nstate = "x"`, `${FILE}:6:1: "state" in [profiles.work.authorization_params] is set by the daemon itself`],
    ['a parameter that is no text', `${WORK}[profiles.work.authorization_params]\nmax = 5`, `${FILE}:5:1: "max" in [profiles.work.authorization_params] must be text in quotes, not a number`],
    ['the issuer of the second of two', `[profiles.a]\nissuer = "https://a.example.com"\nclient_id = "x"\n[profiles.b]\nissuer = "http://b.example.com"\nclient_id = "x"`, `${FILE}:5:1: "issuer" in [profiles.b] must begin with https://`],
    ['a key behind a text that looks like one', '[log]\nfile = """\nlevle = 1\n"""\nlevle = 2', `${FILE}:5:1: "levle" in [log]`],
    ['a prototype', '[profiles.__proto__]\nclient_id = "x"', `${FILE}:1:`],
    ['a key with an escape sequence', '[log]\n"\\u001b[31m" = 1', `${FILE}:2:1: "" in [log] is not a key`],
  ];

  it.each(wrong)('names file, line, column and key: %s', async (_, text, message) => {
    await expect(read(text)).rejects.toMatchObject({ name: 'BrokerError', code: 'config_invalid', message: expect.stringContaining(message) });
  });

  it('has the right line in a file with CRLF and with a byte order mark', async () => {
    await expect(read('v = 1\r\n[log]\r\nlevle = 1\r\n')).rejects.toThrow(`${FILE}:3:1: `);
  });

  it('never quotes a value, which may be a secret in the wrong place', async () => {
    for (const text of [
      `${WORK}client_secret = "s3cret-EXAMPLE"`, `${WORK}flow = "s3cret-EXAMPLE"`, `${WORK}proxy = "http://ann:s3cret-EXAMPLE@proxy:1"`, `${WORK}resource = "s3cret-EXAMPLE"`,
      `${WORK}scopes = "s3cret-EXAMPLE"`, `${WORK}redirect_ports = ["s3cret-EXAMPLE"]`, `${WORK}x = "s3cret-EXAMPLE\n`, `${WORK}tenant = "s3cret-EXAMPLE"`, `${WORK}preset = "s3cret-EXAMPLE"`,
      `${WORK}redirect_path = "s3cret-EXAMPLE"`, `${WORK}[device]\nissuers = ["https://ann:s3cret-EXAMPLE@a.example.com"]`,
    ]) {
      const error: unknown = await read(text).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'config_invalid' });
      expect(JSON.stringify(error) + String(error)).not.toContain('s3cret');
    }
  });

  it('tells where a client secret belongs', async () => {
    await expect(read(`${WORK}client_secret = "x"`)).rejects.toMatchObject({ message: expect.stringContaining(':4:1:'), hint: expect.stringContaining('--client-secret-stdin') });
  });
});

describe('the file', () => {
  it('of another user is refused unread', async () => {
    await expect(read({ text: 'not even TOML [', uid: 1001, mode: 0o100600 })).rejects.toMatchObject({ code: 'config_untrusted', message: expect.stringContaining(FILE) });
    await expect(read({ text: '', uid: 0, mode: 0o100600 })).rejects.toMatchObject({ code: 'config_untrusted' });
  });

  it.each([0o620, 0o602, 0o666, 0o777])('with mode %o is refused unread', async (mode) => {
    await expect(read({ text: 'not even TOML [', uid: 1000, mode: 0o100000 | mode })).rejects.toMatchObject({ code: 'config_untrusted', hint: `Run: chmod go-w ${FILE}` });
  });

  it.each([0o600, 0o640, 0o644, 0o444])('with mode %o is read', async (mode) => {
    expect((await read({ text: WORK, uid: 1000, mode: 0o100000 | mode })).profiles.size).toBe(1);
  });

  it('of a newer version is refused, with path and version, even if it does not parse', async () => {
    for (const text of ['v = 2\n', `# new\nv = 2\n${WORK}`, 'v = 2\nnew = ~syntax~\n', 'v = 12\n[table\n']) {
      await expect(read(text)).rejects.toMatchObject({ code: 'file_too_new', message: expect.stringMatching(new RegExp(`${FILE} has version (2|12)`)) });
    }
    await expect(read('[profiles.x]\nv = 2\n[')).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('a CA file', () => {
  const withCa = (line: string, others: Readonly<Record<string, TextFile>>) => read(`${WORK}${line}`, others);
  const root = (text: string, mode = 0o100644): TextFile => ({ text, uid: 0, mode });

  it('is read with the configuration, and only its certificates are kept', async () => {
    const pem = `# corporate\n${CA_ONE}-----BEGIN PRIVATE KEY-----\nEXAMPLE\n-----END PRIVATE KEY-----\n${CA_TWO}`;
    const config = await withCa('ca_file = "/etc/corp.pem"', { '/etc/corp.pem': root(pem) });
    expect(profileOf(config, 'work')).toMatchObject({ caFile: '/etc/corp.pem', caPem: `${CA_ONE}${CA_TWO}` });
  });

  it('may stand below the home directory', async () => {
    const config = await withCa('ca_file = "~/ca.pem"', { '/home/ann/ca.pem': own(CA_ONE) });
    expect(profileOf(config, 'work')).toMatchObject({ caFile: '/home/ann/ca.pem', caPem: CA_ONE });
  });

  it.each([
    ['is missing', 'ca_file = "/etc/none.pem"', 'names /etc/none.pem, which does not exist'],
    ['holds no certificate', 'ca_file = "/etc/text.pem"', 'is not a PEM file of readable certificates'],
    ['holds a broken certificate', 'ca_file = "/etc/broken.pem"', 'is not a PEM file of readable certificates'],
    ['holds half a certificate beside a good one', 'ca_file = "/etc/half.pem"', 'is not a PEM file of readable certificates'],
    ['is relative', 'ca_file = "corp.pem"', 'must be an absolute path, or begin with ~/'],
  ])('that %s is an error at its line', async (_, line, message) => {
    const broken = CA_ONE.replace('MII', 'MIX');
    const files = { '/etc/text.pem': root('hello'), '/etc/broken.pem': root(broken), '/etc/half.pem': root(`${CA_TWO}${CA_ONE.slice(0, 200)}`) };
    await expect(withCa(line, files)).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringContaining(`${FILE}:4:1: "ca_file" in [profiles.work] ${message.startsWith('is not') ? 'names' : message}`) });
    await expect(withCa(line, files)).rejects.toThrow(message);
  });

  it('that another user could change is refused', async () => {
    await expect(withCa('ca_file = "/etc/corp.pem"', { '/etc/corp.pem': root(CA_ONE, 0o100666) })).rejects.toMatchObject({ code: 'config_untrusted' });
    await expect(withCa('ca_file = "/etc/corp.pem"', { '/etc/corp.pem': { text: CA_ONE, uid: 1001, mode: 0o100644 } })).rejects.toMatchObject({ code: 'config_untrusted' });
  });
});
