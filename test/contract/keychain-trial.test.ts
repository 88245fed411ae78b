/** Whether the keychain works, on a real gnome-keyring of the test's own: it is used, it leaves nothing, and it never hangs. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { createClock } from '../../daemon/platform/clock.ts';
import { createRandom } from '../../daemon/platform/random.ts';
import { createKeychainTrial } from '../../daemon/vault/keychain-trial.ts';
import { keyringObstacle, startKeyring, useNoBus } from '../support/keyring.ts';
import type { Keyring, KeyringOptions } from '../support/keyring.ts';

const obstacle = keyringObstacle();
if (obstacle !== null) console.warn(`not run: ${obstacle}`);

const trial = () => createKeychainTrial({ clock: createClock(), random: createRandom(), account: 'doctor-test' })();

describe.skipIf(obstacle !== null)('a trial of the keychain', () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const each of undo.splice(0).toReversed()) await each();
  });

  async function keyring(options: KeyringOptions = {}): Promise<Keyring> {
    const started = await startKeyring(options);
    undo.push(() => started.stop(), started.use());
    return started;
  }

  /** What of ours is in it. */
  function items(): string {
    const asked = spawnSync('dbus-send', ['--session', '--print-reply', '--dest=org.freedesktop.secrets', '/org/freedesktop/secrets', 'org.freedesktop.Secret.Service.SearchItems', 'dict:string:string:service,valetkey'], { encoding: 'utf8' });
    if (asked.status !== 0) throw new Error(asked.stderr);
    return asked.stdout;
  }

  it('works, and leaves nothing behind', async () => {
    await keyring();
    expect(await trial()).toBe('works');
    expect(items()).not.toContain('object path "/org/freedesktop/secrets/collection');
  });

  it('those who ask at the same time get the same answer', async () => {
    await keyring();
    const ask = createKeychainTrial({ clock: createClock(), random: createRandom(), account: 'doctor-test' });
    const [one, other] = [ask(), ask()];
    expect(one).toBe(other);
    expect(await one).toBe('works');
    expect(ask()).not.toBe(one);
  });

  it('absent: no bus, and nobody on it', async () => {
    undo.push(useNoBus());
    expect(await trial()).toBe('absent');
  });

  it('frozen: whoever keeps secrets answers nothing', async () => {
    (await keyring()).freeze();
    expect(await trial()).toBe('frozen');
  });

  it('locked: its dialog is open for three seconds, and then it is an answer', async () => {
    const locked = await keyring({ hasDialog: true });
    locked.lock();
    expect(['locked', 'refused']).toContain(await trial());
  }, 30_000);
});
