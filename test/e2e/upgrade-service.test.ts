/** One daemon follows another under a real systemd of a user, which has to follow as well. */
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startUserManager, userManagerObstacle } from '../support/user-manager.ts';
import type { Ran, UserManager } from '../support/user-manager.ts';
import { needBuild } from './built-cli.ts';

const obstacle = process.platform === 'linux' ? userManagerObstacle() : 'systemd is of Linux';
if (obstacle !== null) console.warn(`not run: an upgrade under a real systemd --user: ${obstacle}`);

const UNIT = 'valetkeyd.service';
const PASSPHRASE = 'service-upgrade-EXAMPLE';

describe.skipIf(obstacle !== null)('an upgrade under systemd', () => {
  let manager: UserManager;
  beforeAll(() => needBuild());
  beforeEach(async () => {
    manager = await startUserManager();
  }, 60_000);
  afterEach(() => manager.close());

  const valetkey = (args: readonly string[], stdin = ''): Promise<Ran> => manager.run([process.execPath, join(manager.root, 'dist/client/main.js'), ...args], stdin);
  const json = async (...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> => JSON.parse((await valetkey([...args, '--json'])).stdout) as Record<string, unknown>;
  const mainPid = async (): Promise<number> => Number(await manager.show(UNIT, 'MainPID'));

  it('keeps socket, key and unit: the new daemon is the main process, is started again when it is killed, and ends by stop', async () => {
    expect(await valetkey(['service', 'install'])).toMatchObject({ exit: 0 });
    expect(await valetkey(['unlock', '--create', '--passphrase-stdin'], `${PASSPHRASE}\n`)).toMatchObject({ exit: 0 });
    const first = await mainPid();
    for (let round = 0; round < 3; round += 1) {
      const before = await mainPid();
      const upgraded = await valetkey(['daemon', 'upgrade', '--json']);
      expect(upgraded, upgraded.stderr).toMatchObject({ exit: 0 });
      const { how, to } = JSON.parse(upgraded.stdout) as { how: string; to: { pid: number } };
      expect(how).toBe('take_over');
      await expect.poll(mainPid).toBe(to.pid);
      expect(to.pid).not.toBe(before);
      expect(await manager.show(UNIT, 'ActiveState')).toBe('active');
      expect(await json('status')).toMatchObject({ pid: to.pid, started_by: 'systemd', vault: { backend: 'passphrase', state: 'open' } });
    }
    // None of it was a restart, and the old ones are gone.
    expect(await manager.show(UNIT, 'NRestarts')).toBe('0');
    expect((await manager.run(['kill', '-0', String(first)])).exit).not.toBe(0);
    expect(await manager.show(UNIT, 'NFileDescriptorStore')).toBe('1');
    const killed = await mainPid();
    await manager.run(['kill', '-9', String(killed)]);
    await expect.poll(async () => [await mainPid() !== killed, await manager.show(UNIT, 'ActiveState')]).toEqual([true, 'active']);
    expect(await json('status')).toMatchObject({ vault: { state: 'open' } });
    expect(await valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 0 });
    expect(await manager.systemctl('restart', UNIT)).toMatchObject({ exit: 0 });
    expect(await json('status')).toMatchObject({ pid: await mainPid(), vault: { state: 'open' } });
    expect(await valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 0 });
    expect(await valetkey(['daemon', 'stop'])).toMatchObject({ exit: 0 });
    expect(await manager.show(UNIT, 'ActiveState')).toBe('inactive');
    expect(await json('status')).toMatchObject({ started_by: 'systemd' }); // by the socket, which it left alone
  }, 180_000);
});
