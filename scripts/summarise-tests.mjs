/**
 * Says in one plain line how a test run ended, from vitest's JSON report; names what was skipped before it.
 * usage: node scripts/summarise-tests.mjs REPORT
 */
import { readFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';

/** @param {string} file */
export function summarise(file) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  const tests = report.testResults.flatMap((suite) => suite.assertionResults);
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  const passed = tests.filter(({ status }) => status === 'passed').length;
  // A file that cannot be loaded holds no tests and has failed all the same.
  const broken = report.testResults.filter((suite) => suite.status === 'failed' && suite.assertionResults.every(({ status }) => status !== 'failed'));
  const failed = tests.filter(({ status }) => status === 'failed').length + broken.length;
  return {
    lines: [
      ...skipped.map(({ fullName }) => `skipped: ${fullName}`),
      ...broken.map(({ name, message }) => `failed as a whole: ${name}: ${String(message).split('\n')[0]}`),
      `${passed} passed, ${failed} failed, ${skipped.length} skipped`,
    ],
    ok: report.success === true && failed === 0 && passed > 0,
  };
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { lines, ok } = summarise(argv[2] ?? 'dist/test-report.json');
  console.log(lines.join('\n'));
  exit(ok ? 0 : 1);
}
