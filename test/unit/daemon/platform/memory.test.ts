/** The arenas of the C library, on this machine and on one without such a thing; the young generation of V8. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { shareArenas } from '../../../../daemon/platform/memory.ts';
import type { Native } from '../../../../daemon/platform/native.ts';

const NATIVE_URL = new URL('../../../../dist/daemon/platform/native.js', import.meta.url).href;
const MEMORY_URL = new URL('../../../../dist/daemon/platform/memory.js', import.meta.url).href;

/** Arenas, beside the main one, that eight threads which take and free memory leave behind. */
function arenasLeft(isShared: boolean): number {
  const program = `
    import { readFileSync } from 'node:fs';
    import { pbkdf2 } from 'node:crypto';
    import { promisify } from 'node:util';
    import { loadNative } from ${JSON.stringify(NATIVE_URL)};
    import { shareArenas } from ${JSON.stringify(MEMORY_URL)};
    ${isShared ? 'if (!shareArenas(loadNative())) throw new Error("glibc refused");' : ''}
    await Promise.all(Array.from({ length: 64 }, () => promisify(pbkdf2)('a', 'b', 2_000, 32, 'sha256')));
    // An arena of a thread lies in a reservation of 64 MB, aligned to its size.
    console.log(readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => /^[0-9a-f]+[048c]000000-[0-9a-f]+ rw-p 00000000 00:00 0 *$/.test(line)).length);
  `;
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' }));
}

/** What V8 holds for young objects, in MB, after a burst of them that live for a while. */
function youngMb(isBound: boolean): number {
  const program = `
    import { setTimeout } from 'node:timers/promises';
    import { getHeapSpaceStatistics } from 'node:v8';
    import { boundYoungGeneration } from ${JSON.stringify(MEMORY_URL)};
    ${isBound ? 'boundYoungGeneration(1); await setTimeout(50);' : ''}
    for (let round = 0; round < 100; round += 1) Array.from({ length: 20_000 }, (_, i) => ({ i, list: [i, round] }));
    console.log(getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size / 1_048_576);
  `;
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }));
}

const isGlibc = process.platform === 'linux' && JSON.stringify(process.report.getReport()).includes('glibcVersionRuntime');

if (!isGlibc) console.log('skipped: shared arenas; the C library here is not glibc');

describe('the memory of the helper threads', () => {
  it.skipIf(!isGlibc)('is shared where the C library would give each its own', () => {
    expect(arenasLeft(true)).toBeLessThan(arenasLeft(false));
  });

  it('is left alone where there is no such function', () => {
    const native: Native = {
      platform: 'linux',
      call: () => {
        throw new Error('Cannot find function mallopt in shared library');
      },
    };
    expect(shareArenas(native)).toBe(false);
    expect(shareArenas({ ...native, platform: 'darwin' })).toBe(false);
  });
});

describe('the young generation', () => {
  it('stays as small as it begins, where it would grow in a burst', () => {
    expect(youngMb(true)).toBeLessThanOrEqual(2);
    expect(youngMb(false)).toBeGreaterThan(4);
  });
});
