/** The README's first command, as a CI system or a container would run it: no terminal, no display, CI marks set. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundMs } from '../support/bound.ts';

const main = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));
let temporary = '';
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'demo-test-'));
});
afterEach(() => rmSync(temporary, { recursive: true, force: true }));

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string; readonly ms: number };

function demo(env: Readonly<Record<string, string>> = {}, onOutput: (text: string, interrupt: () => void) => void = () => undefined): Promise<Ended> {
  const began = performance.now();
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'] ?? '', HOME: temporary, TMPDIR: temporary, CI: 'true', GITHUB_ACTIONS: 'true', ...env }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    onOutput(stdout, () => child.kill('SIGINT'));
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => void (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr, ms: performance.now() - began }));
  });
}

/** The daemon that the demo named, and all processes whose environment names the test's directory. */
function leftRunning(stdout: string): readonly string[] {
  const daemon = /process (\d+);/.exec(stdout)?.[1];
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      // A process that ended and waits to be reaped runs no more.
      if (/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return false;
      return pid === daemon || readFileSync(`/proc/${pid}/environ`, 'latin1').includes(temporary);
    } catch {
      return false; // gone in between, or not ours
    }
  });
}

describe.skipIf(process.platform !== 'linux')('npm run demo', () => {
  it('shows every step, takes less than 20 s and leaves nothing behind', async () => {
    const { code, stdout, stderr, ms } = await demo();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const said of ['Signed in as ada', '10 answers, 1 refresh request', 'dead after, says the issuer', 'All as expected']) expect(stdout).toContain(said);
    expect(ms).toBeLessThan(boundMs(20_000));
    expect([readdirSync(temporary), leftRunning(stdout)]).toEqual([[], []]);
  }, 40_000);

  it('cleans up after Ctrl-C, even in the middle of a sign-in', async () => {
    let pressed = false;
    const { code, stdout, stderr } = await demo({}, (text, interrupt) => {
      if (pressed || !text.includes(' 1. ')) return;
      pressed = true;
      interrupt();
    });
    expect([code, stderr.trim()]).toEqual([130, 'The demo failed: ended by SIGINT']);
    expect([readdirSync(temporary), leftRunning(stdout)]).toEqual([[], []]);
  }, 40_000);

  it('says what is missing where there is no script command, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await demo({ PATH: temporary });
    expect([code, stderr.trim()]).toEqual([1, 'The demo failed: script cannot be run: spawn script ENOENT']);
    expect([readdirSync(temporary), leftRunning(stdout)]).toEqual([[], []]);
  }, 40_000);
});
