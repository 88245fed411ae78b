/** A tool with a real refresh token of a real issuer, found in its file and moved off it. */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openApi } from '../../client/api.ts';
import type { Api } from '../../client/api.ts';
import { openConnection } from '../../client/connection.ts';
import type { Connection } from '../../client/connection.ts';
import { followLogin } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { collectCanaries, searchBytes, searchTree } from '../support/canaries.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { saveAsKubelogin, signInAsTool } from '../support/tool-sign-in.ts';
import type { ToolTokens } from '../support/tool-sign-in.ts';
import { run } from '../unit/client/fake-world.ts';
import type { FakeApi, Run } from '../unit/client/fake-world.ts';
import { privateDirectory } from '../unit/client/stand-in.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
let connection: Connection;
let home: string;
let old: ToolTokens;
let file: string;

beforeEach(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({ config: profileToml('cluster', issuer.url) });
  connection = openConnection({ socket: vk.socket });
  home = privateDirectory();
  old = await signInAsTool(issuer, 'valetkey', 'ada');
  file = saveAsKubelogin(home, old);
});
afterEach(async () => {
  connection?.close();
  await vk?.stop();
  await issuer?.close();
});

/** The real daemon, and a person whose browser goes wherever it is sent. */
function realApi(login: string): FakeApi {
  const api: Api = openApi(connection);
  return {
    ...api,
    startLogin: async (...args) => {
      const view = await api.startLogin(...args);
      if (view.start_url !== undefined) await followLogin(view.start_url, { login });
      return view;
    },
  };
}

async function adopt(argv: readonly string[], person: readonly string[]): Promise<Run> {
  const result = await run(['adopt', ...argv], { base: home, terminal: true, person, api: realApi('ada') });
  const left = [result.stdout, result.stderr, ...result.shown, JSON.stringify(result.calls), JSON.stringify(vk.log.lines), JSON.stringify(vk.audit.events)].join('\n');
  expect(searchBytes('output, log and audit', left, collectCanaries(issuer.minted, { except: ['client_secret'] }))).toEqual([]);
  expect(searchTree(vk.stateDir, collectCanaries(issuer.minted))).toEqual([]);
  return result;
}

describe('a refresh token of kubelogin', () => {
  it('[AL-03] is found: whose it is, and nothing of it', async () => {
    const { exit, stdout } = await adopt(['--json'], []);
    expect(exit).toBe(8);
    expect(JSON.parse(stdout)).toMatchObject({ findings: [{ tool: 'kubelogin', kind: 'refresh_token', path: file, mode: '0600', issuer: issuer.url, client_id: 'valetkey', account: 'ada' }] });
    expect(await issuer.introspect(old.refresh_token)).toMatchObject({ active: true });
  });

  it('is gone from the disk after --fix, the new sign-in lives, and it is said that the old one does, too', async () => {
    const { exit, stdout, stderr } = await adopt(['--fix', 'kubelogin'], ['y', 'y']);
    expect({ exit, there: existsSync(file) }).toEqual({ exit: 0, there: false });
    expect(stdout).toContain('1. Signed in as ada@example.test');
    // The same client: revoking the old one could have ended the new one with it.
    expect(stderr).toContain('The old token was not revoked');
    expect(await issuer.introspect(old.refresh_token)).toMatchObject({ active: true });
    const token = await vk.api('POST', '/v1/token', { profile: 'cluster', force: true });
    expect(token.body).toMatchObject({ source: 'refresh' });
    expect(await issuer.introspect(token.body.access_token)).toMatchObject({ active: true });
  });

  it('stays where it is when the person says no at the end', async () => {
    expect(await adopt(['--fix', 'kubelogin'], ['y', 'no'])).toMatchObject({ exit: 130 });
    expect(existsSync(file)).toBe(true);
    expect(await issuer.introspect(old.refresh_token)).toMatchObject({ active: true });
  });
});
