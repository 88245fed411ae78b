import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { later } from '../../../../daemon/core/later.ts';

const BUILT = fileURLToPath(new URL('../../../../dist/daemon/', import.meta.url));

describe('a module that is loaded later', () => {
  it('is loaded once, by the first who asks', async () => {
    let loads = 0;
    const load = later(async () => ({ number: (loads += 1) }));
    expect(loads).toBe(0);
    expect(await Promise.all([load(), load()])).toEqual([{ number: 1 }, { number: 1 }]);
    expect(await load()).toEqual({ number: 1 });
  });

  it('is tried again by the next one where it could not be loaded', async () => {
    let isBroken = true;
    const load = later(async () => {
      if (isBroken) throw new Error('no such file');
      return 'loaded';
    });
    await expect(load()).rejects.toThrow('no such file');
    isBroken = false;
    expect(await load()).toBe('loaded');
  });

  it.skipIf(process.platform !== 'linux')('is not tried while descriptors are short, and loads once there are some', () => {
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { later } from '${BUILT}core/later.js';
      const load = later(() => import('${BUILT}issuer/wired-issuer.js'));
      const held = [];
      try { for (;;) held.push(openSync('/dev/null')); } catch {}
      for (let i = 0; i < 20; i += 1) closeSync(held.pop());
      const outcome = () => load().then(() => 'loaded', (cause) => cause.code);
      const short = await outcome();
      for (const descriptor of held) closeSync(descriptor);
      console.log(short, await outcome());
    `;
    const { stdout, stderr } = spawnSync('prlimit', ['--nofile=128:128', process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: 'EMFILE loaded\n', stderr: '' });
  });
});
