/**
 * The vault's key in the memory of the process itself, as whoever may read that finds it: there while the vault is open,
 * and nowhere after a lock and after a panic. Reading it takes the rights of root, or of a debugger.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Laptop, startShimmed } from './rig.ts';
import { useStage } from './stage.ts';

const CHUNK = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('not run: the memory of a hardened process can be read by root alone');

/** How often these bytes stand in memory that the process may write. */
function countIn(pid: number, needle: Buffer): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let found = 0;
  try {
    for (const [, from = '', to = ''] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      const end = BigInt(`0x${to}`);
      for (let at = BigInt(`0x${from}`); at < end; at += BigInt(CHUNK)) {
        // A needle that lies across two chunks is found by the overlap.
        const bytes = Buffer.alloc(Number(end - at < BigInt(CHUNK + needle.length) ? end - at : BigInt(CHUNK + needle.length)));
        try {
          readSync(memory, bytes, 0, bytes.length, at);
        } catch {
          continue; // a page that is none
        }
        for (let i = bytes.indexOf(needle); i >= 0 && i < CHUNK; i = bytes.indexOf(needle, i + 1)) found += 1;
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

describe.skipIf(!isRoot)('the key of the vault', () => {
  const stage = useStage();

  it.each(['/v1/lock', '/v1/panic'])('is in the daemon\'s memory while the vault is open, and nowhere after POST %s', async (path) => {
    const issuer = await startShimmed();
    const laptop = new Laptop(stage.build, stage.person, issuer.issuer.url);
    try {
      await laptop.start();
      expect(await laptop.signIn()).toMatchObject({ state: 'complete' });
      // A daemon that made its key would have it in one place more.
      await laptop.kill();
      await laptop.start();
      expect((await laptop.token({ force: true })).status).toBe(200);
      const file = readdirSync(laptop.desk.dir).find((name) => name.startsWith('vault-') && !name.endsWith('-floors')) ?? '';
      const item = JSON.parse(readFileSync(join(laptop.desk.dir, file), 'utf8')) as { readonly key: string };
      const key = Buffer.from(item.key, 'base64url');
      expect(key).toHaveLength(32);
      const pid = laptop.running?.child.pid ?? 0;
      expect(countIn(pid, key)).toBeGreaterThan(0);
      expect((await laptop.api('POST', path)).status).toBe(200);
      await expect.poll(() => countIn(pid, key), { interval: 200 }).toBe(0);
      // As the keychain's item wrote it, it was a string: what one leaves is written over only by what comes after it.
      const text = countIn(pid, Buffer.from(item.key));
      const tokens = issuer.issuer.minted.filter(({ kind }) => kind === 'refresh_token').map(({ value }) => countIn(pid, Buffer.from(value)));
      console.log(`after POST ${path}: the key 0 times in memory; what is left of strings: of the key's ${text} times, of refresh tokens ${tokens.join(' and ')} times`);
    } finally {
      await laptop.remove();
      await issuer.close();
    }
  }, 60_000);
});
