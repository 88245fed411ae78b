/** When the sources were last changed, so that the same sources make the same packages, byte for byte. */
import { spawnSync } from 'node:child_process';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * SOURCE_DATE_EPOCH (reproducible-builds.org), else the last commit, else now.
 * @returns {number} seconds since 1970-01-01 UTC
 */
export function sourceEpoch() {
  const told = env['SOURCE_DATE_EPOCH'];
  if (told !== undefined && /^\d{1,12}$/.test(told)) return Number(told);
  const { stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: fileURLToPath(new URL('../', import.meta.url)), encoding: 'utf8' });
  return /^\d+\n$/.test(stdout ?? '') ? Number(stdout) : Math.floor(Date.now() / 1000);
}
