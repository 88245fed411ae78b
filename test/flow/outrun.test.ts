/** What comes while the record of a release is written is not outrun by the token: a disk may take its time. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../daemon/core/ports.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
/** Lets the record of the release be written. */
let write: () => void;
let isWriting: Promise<void>;

beforeEach(async () => {
  hostile = await startHostileIssuer();
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url) });
  await vk.signIn('work', 'alice');
  const append = vk.audit.append.bind(vk.audit);
  let started: () => void = () => undefined;
  isWriting = new Promise((resolve) => { started = resolve; });
  const written = new Promise<void>((resolve) => { write = resolve; });
  vk.audit.append = async (event: AuditEvent) => {
    if (event.event === 'token_released') {
      started();
      await written;
    }
    await append(event);
  };
});
afterEach(async () => {
  write();
  await vk.stop();
  await hostile.close();
});

describe('a token whose release is being recorded', () => {
  it.each([
    ['the user locks', () => vk.api('POST', '/v1/lock'), { code: 'vault_locked' }],
    ['somebody logs out', () => vk.api('DELETE', '/v1/grants/work'), { code: 'login_required', reason: 'signed_out' }],
    ['a stricter policy comes', async () => {
      await vk.policy('user', 'v = 1\n[[rules]]\nname = "none"\ndecide = "deny"\n');
      await vk.api('POST', '/v1/reload');
    }, { code: 'policy_denied', reason: 'user/none' }],
  ])('[GV-01] does not leave once %s', async (_what, act, expected) => {
    const asked = vk.api('POST', '/v1/token', { profile: 'work' });
    await isWriting;
    await act();
    write();
    const { body } = await asked;
    expect(body).toMatchObject(expected);
    expect(JSON.stringify(body)).not.toContain('access_token"');
  });

  it('leaves where nothing came', async () => {
    const asked = vk.api('POST', '/v1/token', { profile: 'work' });
    await isWriting;
    write();
    expect((await asked).body).toMatchObject({ access_token: expect.any(String) as string });
  });
});
