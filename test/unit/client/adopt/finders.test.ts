/** Every finder against a file in its tool's own format. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { find } from '../../../../client/adopt/find.ts';
import { FINDERS } from '../../../../client/adopt/finders/index.ts';
import { readFormat } from '../../../../client/adopt/formats.ts';
import { pick } from '../../../../client/adopt/pick.ts';
import { collectCanaries, searchBytes } from '../../../support/canaries.ts';
import { NOW, run } from '../fake-world.ts';
import { FIXTURES } from './fixtures.ts';
import { homeWith, OWN } from './rig.ts';

/** The environment of the tests is not the person's: no variable of it moves a tool's files. */
const EMPTY = {};

describe('each finder', () => {
  it.each(FIXTURES.map((fixture) => [fixture.tool, fixture.file, fixture] as const))('%s finds what is in ~/%s, and whose it is', async (tool, file, fixture) => {
    const home = homeWith(fixture);
    const { findings, skipped } = await find(FINDERS, { uid: OWN, home }, EMPTY);
    expect(skipped).toEqual([]);
    expect(findings.map(({ kind, issuer, client, account }) => ({ kind, issuer, client, account })).toSorted(byText))
      .toEqual(fixture.expected.map(({ kind, issuer, client, account }) => ({ kind, issuer, client: client ?? null, account: account ?? null })).toSorted(byText));
    for (const finding of findings) expect(finding).toMatchObject({ tool, path: `${home}/${file}`, mode: 0o600 });
  });

  it('has a fixture for each of its marks', () => {
    const unproved = FINDERS.flatMap((finder) => {
      const files = FIXTURES.filter(({ tool }) => tool === finder.tool);
      return finder.places.flatMap(({ format, marks }) => marks.filter((mark) => !files.some(({ content }) => pick(readFormat(format, Buffer.from(content)) ?? null, [mark]).length > 0)).map(({ at }) => `${finder.tool} ${at}`));
    });
    expect(unproved).toEqual([]);
  });

  it('has a name of its own, a source, and something to do', () => {
    expect(new Set(FINDERS.map(({ tool }) => tool)).size).toBe(FINDERS.length);
    for (const { tool, places, advice, fix, sources } of FINDERS) {
      expect(tool).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(sources.length, tool).toBeGreaterThan(0);
      for (const source of sources) expect(source).toMatch(/^https:\/\//);
      expect(advice, tool).not.toBe('');
      expect(places.length, tool).toBeGreaterThan(0);
      for (const { path } of places) expect(path, tool).toMatch(/^(~\/|\$\{)/);
      if (fix !== null) expect(fix.use, tool).toMatch(/valetkey token \{profile\}|--profile[ =]\{profile\}|with \{profile\}/);
    }
  });
});

describe('[AL-03] no secret', () => {
  it.each([[['adopt'], false], [['adopt', '--json'], false], [['adopt', '--quiet'], false], [['adopt'], true]] as const)('is in what valetkey %j shows', async (argv, terminal) => {
    const home = homeWith(...FIXTURES);
    const { exit, stdout, stderr } = await run(argv, { base: home, env: EMPTY, terminal });
    expect(exit).toBe(8);
    const canaries = collectCanaries([], { more: FIXTURES.flatMap(({ secrets }) => secrets) });
    expect(canaries.length).toBeGreaterThan(50);
    expect(searchBytes('output', stdout + stderr, canaries)).toEqual([]);
    expect(stdout.length).toBeGreaterThan(2_000);
  });
});

describe('valetkey adopt', () => {
  it('says which tool, what, where, its mode and its age, and what to do', async () => {
    const home = homeWith(...FIXTURES.filter(({ tool }) => ['gh', 'codex'].includes(tool)));
    const { stdout, stderr, calls, mayStart } = await run(['adopt'], { base: home });
    expect(stdout).toContain('gh: ~/.config/gh/hosts.yml\n  access token of monalisa at github.com\n  access token of hubot at github.com\n  Mode 0600; changed ');
    expect(stdout).toContain('  Run: valetkey adopt --fix gh\n');
    expect(stdout).toContain('To sign out: codex logout\n');
    expect(stderr).toContain('5 secrets in plain text, in 2 files. Nothing was changed.');
    // It asks nobody, and starts nothing.
    expect({ calls, mayStart }).toEqual({ calls: [], mayStart: [] });
  });

  it('is a document with --json, and ends with 0 where nothing is', async () => {
    const gh = FIXTURES.filter(({ tool }) => tool === 'gh');
    const home = homeWith(...gh);
    const { exit, stdout } = await run(['adopt', '--json'], { base: home });
    expect(exit).toBe(8);
    const document = JSON.parse(stdout) as { readonly findings: readonly Record<string, unknown>[]; readonly skipped: unknown };
    expect(document.skipped).toEqual([]);
    expect(document.findings[0]).toEqual({ tool: 'gh', kind: 'access_token', path: `${home}/.config/gh/hosts.yml`, mode: '0600', age_s: expect.any(Number), issuer: 'github.com', client_id: null, account: 'monalisa', what_to_do: 'Run: valetkey adopt --fix gh' });
    expect(document.findings[0]?.['age_s']).toBeLessThan(NOW);
    const empty = await run(['adopt'], { base: homeWith() });
    expect(empty).toMatchObject({ exit: 0, stdout: `Nothing in plain text was found in the files of ${FINDERS.length} tools.\n`, stderr: '' });
  });
});

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

describe('what kubectl is told to run', () => {
  it('is the plugin for it, for that server alone', async () => {
    const use = FINDERS.find(({ tool }) => tool === 'kubelogin')?.fix?.use.replace('{profile}', 'cluster').replace('SERVER', 'k8s.example.com:6443') ?? '';
    const [, apiVersion = '', args = ''] = /apiVersion: (\S+), .*provideClusterInfo: true, command: valetkey, args: \[(.*)\] \}/.exec(use) ?? [];
    const env = { KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false, cluster: { server: 'https://k8s.example.com:6443' } } }) };
    const token = { profile: 'cluster', access_token: 'at-EXAMPLE', token_type: 'bearer', expires_at: NOW + 600, scope: 'read', resource: null, source: 'cache' as const, granted_beyond: [], rule: 'shipped/login-session' };
    const { exit, stdout, calls } = await run(args.split(', '), { env, api: { token: () => token } });
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ apiVersion, kind: 'ExecCredential', status: { token: 'at-EXAMPLE' } });
    expect(calls).toEqual([['token', { profile: 'cluster', interaction: 'never' }]]);
  });
});

describe('what git is told to run', () => {
  it('is the helper for it, for that host alone', () => {
    const use = FINDERS.find(({ tool }) => tool === 'git')?.fix?.use.replace('{profile}', 'forge') ?? '';
    const script = /helper '!(.*)',/.exec(use)?.[1] ?? '';
    const { stdout } = spawnSync('sh', ['-c', `valetkey() { echo "$@"; }\n${script} get`], { encoding: 'utf8' });
    expect(stdout).toBe('credential git --profile forge --url https://HOST get\n');
  });
});
