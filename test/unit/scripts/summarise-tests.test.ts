/** The last line of a run is what people believe, so it must not say more than happened. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'summary-'));
afterAll(() => rmSync(directory, { recursive: true }));

const script = fileURLToPath(new URL('../../../scripts/summarise-tests.mjs', import.meta.url));

function summary(report: unknown): { readonly code: number; readonly lines: readonly string[] } {
  const file = join(directory, 'report.json');
  writeFileSync(file, JSON.stringify(report));
  try {
    return { code: 0, lines: execFileSync(process.execPath, [script, file], { encoding: 'utf8', stdio: 'pipe' }).trim().split('\n') };
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return { code: status, lines: stdout.trim().split('\n') };
  }
}

const suite = (statuses: readonly string[], status = 'passed', message = ''): unknown => ({
  name: 'a.test.ts', status, message, assertionResults: statuses.map((each, i) => ({ status: each, fullName: `test ${i}` })),
});

describe('summary of a test run', () => {
  it('counts, and names what was skipped', () => {
    expect(summary({ success: true, testResults: [suite(['passed', 'pending', 'passed']), suite(['todo'])] }))
      .toEqual({ code: 0, lines: ['skipped: test 1', 'skipped: test 0', '2 passed, 0 failed, 2 skipped'] });
  });

  it('fails with a failed test', () => {
    expect(summary({ success: false, testResults: [suite(['passed', 'failed'], 'failed')] })).toEqual({ code: 1, lines: ['1 passed, 1 failed, 0 skipped'] });
  });

  it('counts a file that cannot be loaded as failed', () => {
    expect(summary({ success: false, testResults: [suite(['passed']), suite([], 'failed', 'SyntaxError: x\nat y')] }))
      .toEqual({ code: 1, lines: ['failed as a whole: a.test.ts: SyntaxError: x', '1 passed, 1 failed, 0 skipped'] });
  });

  it('fails where nothing ran, and where the run itself failed', () => {
    expect(summary({ success: true, testResults: [] }).code).toBe(1);
    expect(summary({ success: false, testResults: [suite(['passed'])] }).code).toBe(1);
  });
});
