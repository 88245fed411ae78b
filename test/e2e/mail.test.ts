/** The installed msmtp with the built CLI as its passwordeval, at a mail server that asks the issuer about each token. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CERTIFICATE } from '../support/loopback-tls.ts';
import { startMailServer } from '../support/mail-server.ts';
import type { MailServer } from '../support/mail-server.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const OBSTACLE = toolObstacle('msmtp', 'Debian package msmtp');

describe.skipIf(OBSTACLE !== null)('msmtp with a password that is a token', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  let server: MailServer;

  beforeAll(async () => {
    rig = await makeToolRig();
    server = await startMailServer(rig.isGood);
    writeFileSync(join(rig.root, 'ca.pem'), CERTIFICATE);
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    await server.close();
    await rig.close();
  });

  function send(method: string): Promise<Finished> {
    const config = join(rig.root, 'msmtprc');
    writeFileSync(config, [
      'account work', 'host 127.0.0.1', `port ${server.port}`, 'tls on', 'tls_starttls off', `tls_trust_file ${join(rig.root, 'ca.pem')}`, 'timeout 20',
      'from ada@example.com', 'user ada@example.com', `auth ${method}`, `passwordeval "${rig.valetkey} token work --no-interactive"`, '',
    ].join('\n'), { mode: 0o600 });
    return rig.run('msmtp', ['--file', config, '--account', 'work', 'bob@example.com'], { stdin: 'Subject: hello\n\nhello\n' });
  }

  it.each(['xoauth2', 'oauthbearer'])('sends as who signed in, by %s, also when the token of before is over', async (method) => {
    for (const force of [false, true]) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const before = server.taken();
      const { exit, stderr } = await send(method);
      expect(exit, stderr).toBe(0);
      expect(server.taken()).toBe(before + 1);
      expect(server.seen.at(-1)).toBe(`${method.toUpperCase()} ada@example.com`);
    }
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('sends nothing, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const before = server.seen.length;
    const { exit, stderr } = await send('xoauth2');
    expect(exit).not.toBe(0);
    expect(stderr).toContain('valetkey login work');
    expect(server.seen.length).toBe(before);
  });
});
