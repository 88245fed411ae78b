/**
 * Fuzzes the launcher's readers under ASan and UBSan: with clang by libFuzzer, else by the driver of
 * test/launcher/fuzz.c. A crash prints its input or its seed, and ends with an error.
 * usage: node scripts/fuzz-launcher.mjs [SECONDS] [SEED]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { buildLauncher } from './build-launcher.mjs';

const seconds = Number(argv[2] ?? 60);
const target = fileURLToPath(new URL('../test/launcher/fuzz.c', import.meta.url));
const room = mkdtempSync(join(tmpdir(), 'valetkey-fuzz-'));
const fuzzer = join(room, 'fuzz');

/** @param {'libfuzzer' | 'sanitized'} kind */
function build(kind) {
  try {
    return buildLauncher(fuzzer, { kind, without: ['main.c'], extra: [target] });
  } catch (cause) {
    if (kind === 'libfuzzer') return null; // no clang, or one without its runtime
    throw cause;
  }
}

function fuzz() {
  if (build('libfuzzer') !== null) {
    console.log(`fuzz:launcher: libFuzzer, ${seconds} s`);
    return spawnSync(fuzzer, [`-max_total_time=${seconds}`, '-max_len=4096'], { cwd: room, stdio: 'inherit' }).status;
  }
  if (build('sanitized') === null) {
    console.log('fuzz:launcher: not run, since there is no C compiler (Debian package gcc)');
    return 0;
  }
  const end = Date.now() + seconds * 1000;
  for (let seed = Number(argv[3] ?? Date.now() % 1_000_000_007); ; seed += 2) {
    const { status, stdout } = spawnSync(fuzzer, ['100000', String(seed)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    console.log(`fuzz:launcher: seed ${seed}: ${status === 0 ? stdout.trim() : 'FAILED; again by: node scripts/fuzz-launcher.mjs 1 '.concat(String(seed))}`);
    if (status !== 0 || Date.now() > end) return status;
  }
}

const status = fuzz();
rmSync(room, { recursive: true, force: true });
exit(status ?? 1);
