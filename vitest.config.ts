import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';
import { whyNobody } from './test/support/whose-run.ts';

/** Their daemons are processes of their own, which see who really asks. */
const OF_PERSONS = ['test/e2e/**', 'test/chaos/**'];
/** Builds and installs both packages, which takes a minute of its own. */
const OF_RELEASES = ['test/e2e/packages.test.ts'];
const isRelease = process.env['VALETKEY_TEST_PACKAGES'] === '1';
if (!isRelease) process.stdout.write(`not run here: ${OF_RELEASES.join(', ')}: npm run test:packages\n`);
const obstacle = await whyNobody();
if (obstacle !== null) process.stdout.write(`not run here: ${OF_PERSONS.join(', ')}, which play a person at a terminal: ${obstacle}. Run: npm test\n`);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...(obstacle === null ? [] : OF_PERSONS), ...(isRelease ? [] : OF_RELEASES)],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // What is waited for comes in its own time on a busy machine; only what never comes is a fault.
    expect: { poll: { timeout: 15_000 } },
    // Of three files one or two wait, for a time limit or a process, and two cores are enough; more would make them wait for each other.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // No module keeps what a test could leave behind, and to load the daemon anew for each file costs as much as a quarter of all tests.
    isolate: false,
    passWithNoTests: false,
  },
});
