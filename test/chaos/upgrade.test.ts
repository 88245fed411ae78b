/** kill -9 in the middle of an upgrade: one daemon goes on, or none and the next start works, and no refresh token is sent twice. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { callApi } from '../support/api.ts';
import { Ledger } from '../support/ledger.ts';
import { at, home, isAlive, issuer, PASSPHRASE, socket, status, useUpgradeStage } from '../e2e/upgrade-stage.ts';
import { onlyRun, publish, replayable, runs, seeded } from './campaign.ts';

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('not run: a daemon is handed over on Linux alone');
/** From the request on, until the one that was asked has ended: the other starts within it. */
const OLD_WITHIN_MS = 900;
/** From the reply on, when the other waits for its turn. */
const NEW_WITHIN_MS = 150;

describe.skipIf(!isLinux)('kill -9 in an upgrade', () => {
  replayable('upgrade');
  useUpgradeStage();

  it('leaves one working daemon, or none and a start that works, whenever old or new is killed', async () => {
    const ledger = new Ledger(issuer);
    const outcomes = { 'the old one went on': 0, 'the new one went on': 0, 'neither, and another was started': 0 };
    const all = onlyRun === null ? Array.from({ length: runs(8, 400) }, (_, each) => each) : [onlyRun];
    for (const run of all) {
      const random = seeded(run);
      const before = await status();
      const upgraded = callApi(socket(), 'POST', '/v1/upgrade').then(({ body }) => (body as { pid: number }).pid, () => null);
      let next: number | null = null;
      if (run % 2 === 0) {
        await sleep(random() * OLD_WITHIN_MS);
        kill(before.pid);
        next = await upgraded;
      } else {
        next = await upgraded;
        await sleep(random() * NEW_WITHIN_MS);
        if (next !== null) kill(next);
      }
      // The client starts one where there is none.
      const shown = await home.valetkey(['daemon', 'start', '--json']);
      expect(shown, `run ${run}: ${shown.stderr}`).toMatchObject({ exit: 0 });
      const locked = (await status()).vault.state === 'locked';
      if (locked) expect(await home.valetkey(['unlock', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: 0 });
      const { body: reply, status: code } = await callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true });
      expect(code, `run ${run}: ${JSON.stringify(reply)}`).toBe(200);
      const now = (await status()).pid;
      outcomes[now === before.pid ? 'the old one went on' : now === next ? 'the new one went on' : 'neither, and another was started'] += 1;
      await expect.poll(() => [...new Set([before.pid, next ?? now, now])].filter(isAlive), { message: `run ${run}` }).toEqual([now]);
      expect(JSON.parse(readFileSync(at('state/valetkey/lock'), 'utf8'))).toMatchObject({ pid: now });
    }
    publish('upgrade', { runs: all.length, ...outcomes, 'stolen-token alarms': ledger.alarms(), 'refresh tokens that were sent twice': ledger.reuses() });
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 600_000);
});

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // it had ended by itself
  }
}
