/** The installed kubectl with the built CLI as its credential plugin, at an API server that asks the issuer about each token. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startKubeServer } from '../support/kube-server.ts';
import type { KubeServer } from '../support/kube-server.ts';
import { CERTIFICATE } from '../support/loopback-tls.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const OBSTACLE = toolObstacle('kubectl', 'Debian package kubernetes-client');
const V1 = 'client.authentication.k8s.io/v1';

/** The client of Debian 12 is 1.20, and v1 came with 1.22. */
function knowsV1(): boolean {
  if (OBSTACLE !== null) return false;
  const [, minor = '0'] = /"minor": "(\d+)/.exec(spawnSync('kubectl', ['version', '--client', '-o', 'json'], { encoding: 'utf8' }).stdout) ?? [];
  if (Number(minor) < 22) console.log(`kubectl 1.${minor} knows no ${V1} (1.22): it is asked in v1beta1 alone`);
  return Number(minor) >= 22;
}
const VERSIONS = [...(knowsV1() ? [V1] : []), `${V1}beta1`];

type Cluster = { readonly server?: string; readonly version?: string; readonly tellsCluster?: boolean; readonly checksServer?: boolean };

describe.skipIf(OBSTACLE !== null)('kubectl with a plugin that holds no token', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  let server: KubeServer;

  beforeAll(async () => {
    rig = await makeToolRig();
    server = await startKubeServer(rig.isGood);
    writeFileSync(join(rig.root, 'ca.pem'), CERTIFICATE);
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    await server.close();
    await rig.close();
  });

  function getPods({ server: at = server.url, version = VERSIONS[0] ?? '', tellsCluster = true, checksServer = true }: Cluster = {}): Promise<Finished> {
    const config = join(rig.root, 'kubeconfig.json');
    writeFileSync(config, JSON.stringify({
      apiVersion: 'v1', kind: 'Config', 'current-context': 'work',
      clusters: [{ name: 'work', cluster: { server: at, ...(checksServer ? { 'certificate-authority': join(rig.root, 'ca.pem') } : { 'insecure-skip-tls-verify': true }) } }],
      contexts: [{ name: 'work', context: { cluster: 'work', user: 'work' } }],
      users: [{ name: 'work', user: { exec: { apiVersion: version, interactiveMode: 'Never', provideClusterInfo: tellsCluster, command: rig.valetkey, args: ['credential', 'kubectl', '--profile', 'work', '--url', server.url] } } }],
    }));
    return rig.run('kubectl', ['--kubeconfig', config, 'get', 'pods', '--request-timeout=20s']);
  }

  it.each(VERSIONS)('lists pods as who signed in, asked in %s, also when the token of before is over', async (version) => {
    for (const force of [false, true]) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const { exit, stdout, stderr } = await getPods({ version });
      expect(exit, stderr).toBe(0);
      expect(stdout).toMatch(/web-0/);
    }
    expect(new Set(server.seen).has(null)).toBe(false);
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('is who asks for policy and audit, and not the plugin between', async () => {
    expect((await getPods()).exit).toBe(0);
    const { stdout } = await rig.home.valetkey(['audit', 'search', '--event', 'token_released', '--since', '5m', '--json']);
    const { records } = JSON.parse(stdout) as { readonly records: readonly { readonly caller: { readonly origin: { readonly program: { readonly executable: string } } } }[] };
    expect(records.at(-1)?.caller.origin.program.executable).toMatch(/\/kubectl$/);

    const policy = join(rig.home.env['XDG_CONFIG_HOME'] ?? '', 'valetkey/policy.toml');
    writeFileSync(policy, 'v = 1\n[[rules]]\nname = "no-clusters-today"\ndecide = "deny"\nreason = "the clusters rest"\nwhen = { executable = "**/kubectl" }\n', { mode: 0o600 });
    try {
      expect(await rig.home.valetkey(['daemon', 'reload'])).toMatchObject({ exit: 0 });
      const refused = await getPods();
      expect(refused.exit).toBe(1);
      expect(refused.stderr).toMatch(/policy_denied.*no-clusters-today/s);
      expect((await rig.home.valetkey(['token', 'work'])).exit).toBe(0);
    } finally {
      rmSync(policy);
      await rig.home.valetkey(['daemon', 'reload']);
    }
  });

  it('fails at once, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const { exit, stderr } = await getPods();
    expect(exit).toBe(1);
    expect(stderr).toContain('valetkey login work');
    expect(stderr).toMatch(/exit(ed with)? (code|status) 3|failed with exit code 3/);
  });

  it('[MC-03] gives its token to no other server, to none that kubectl does not name, and to none that it does not check', async () => {
    const elsewhere = await startKubeServer(rig.isGood);
    try {
      const before = server.seen.length;
      for (const [cluster, says] of [[{ server: elsewhere.url }, elsewhere.url], [{ tellsCluster: false }, 'provideClusterInfo: true'], [{ checksServer: false }, 'certificate-authority']] as const) {
        const { exit, stderr } = await getPods(cluster);
        expect(exit).toBe(1);
        expect(stderr).toContain(says);
      }
      expect([...elsewhere.seen, ...server.seen.slice(before)].filter((header) => header !== null)).toEqual([]);
    } finally {
      await elsewhere.close();
    }
  });
});
