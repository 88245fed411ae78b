/**
 * Runs vitest and ends with one plain line: N passed, N failed, N skipped. Arguments go to vitest.
 * The report is made anew each time, so that a run that dies without one cannot pass with an old one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { argv, execPath, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { summarise } from './summarise-tests.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const report = `${root}dist/test-report.json`;
rmSync(report, { force: true });

const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const { status } = spawnSync(execPath, [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...argv.slice(2)], { cwd: root, stdio: 'inherit' });
if (!existsSync(report)) {
  console.log('the test run ended without a report');
  exit(1);
}
const { lines, ok } = summarise(report);
console.log(lines.join('\n'));
exit(status === 0 && ok ? 0 : 1);
