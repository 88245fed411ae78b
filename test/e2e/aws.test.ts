/** The installed AWS CLI with the built CLI as its credential_process, at an STS that asks the issuer about each token. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startSts } from '../support/sts-server.ts';
import type { StsServer } from '../support/sts-server.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const OBSTACLE = toolObstacle('aws', 'Debian package awscli');

describe.skipIf(OBSTACLE !== null)('the AWS CLI with a process that holds no keys', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  let sts: StsServer;

  beforeAll(async () => {
    rig = await makeToolRig();
    sts = await startSts(rig.isGood);
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    await sts.close();
    await rig.close();
  });

  function whoAmI(role = 'developer'): Promise<Finished> {
    const config = join(rig.root, 'aws-config');
    writeFileSync(config, `[profile work]\nregion = eu-central-1\ncredential_process = "${rig.valetkey}" credential aws --profile work --role arn:aws:iam::123456789012:role/${role} --url ${sts.url}\n`);
    return rig.run('aws', ['sts', 'get-caller-identity', '--endpoint-url', sts.url], { env: { AWS_CONFIG_FILE: config, AWS_PROFILE: 'work', AWS_EC2_METADATA_DISABLED: 'true', AWS_PAGER: '' } });
  }

  it('is the role of who signed in, also when the token of before is over, and keeps nothing on disk', async () => {
    for (const force of [false, true]) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const { exit, stdout, stderr } = await whoAmI();
      expect(exit, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ Arn: 'arn:aws:sts::123456789012:assumed-role/developer/valetkey-work' });
    }
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('fails at once, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const before = sts.seen.length;
    const { exit, stderr } = await whoAmI();
    expect(exit).toBeGreaterThan(0);
    expect(stderr).toContain('valetkey login work');
    expect(sts.seen.length).toBe(before);
  });

  it('says why STS gives no keys', async () => {
    const { exit, stderr } = await whoAmI('admin');
    expect(exit).toBeGreaterThan(0);
    expect(stderr).toContain('AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity');
  });
});
