/** What the kernel is asked to run when a browser is opened. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needBuild, ROOT } from './built-cli.ts';

const hasStrace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0;
if (!hasStrace) console.warn('not run: strace is missing, or may not trace here');

describe.skipIf(!hasStrace)('opening a browser', () => {
  const base = mkdtempSync(join(tmpdir(), 'valetkey-strace-'));
  beforeAll(needBuild);
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  function execves(program: string): readonly string[] {
    const trace = join(base, 'trace');
    const { status, stderr } = spawnSync('strace', ['-f', '-qq', '-s', '512', '-e', 'trace=execve', '-o', trace, process.execPath, '--input-type=module', '-e', program], { encoding: 'utf8', cwd: '/' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return readFileSync(trace, 'utf8').split('\n').filter((line) => line.includes('execve(') && line.endsWith('= 0')).slice(1);
  }

  const open = (url: string, command: string) => execves(`
    import { openBrowser } from ${JSON.stringify(join(ROOT, 'dist/client/browser.js'))};
    await openBrowser(${JSON.stringify(url)}, ${command}, process.env);
  `);

  it('[LB-09] runs the opener itself and no shell, whatever is in the link', () => {
    const lines = open('http://127.0.0.1:4711/start/x?a=$(id)&calc;`id`', '["/usr/bin/env", "true", "--", "{url}"]');
    expect(lines[0]).toContain('execve("/usr/bin/env", ["/usr/bin/env", "true", "--", "http://127.0.0.1:4711/start/x?a=$(id)&calc;`id`"]');
    expect(lines.filter((line) => /execve\("[^"]*\/(?:ba|da|z)?sh"/.test(line))).toEqual([]);
    // Control: a shell would be seen.
    const shell = execves('import { execSync } from "node:child_process"; execSync("true");');
    expect(shell.some((line) => /execve\("[^"]*\/(?:ba|da|z)?sh"/.test(line))).toBe(true);
  });

  it('[LB-09] hands the system\'s opener nothing but the link', () => {
    const lines = open('http://127.0.0.1:4711/start/x', 'null');
    expect(lines[0]).toContain('dist/client/open-link.js", "http://127.0.0.1:4711/start/x"]');
    expect(lines.some((line) => /xdg-open", \[.*"http:\/\/127\.0\.0\.1:4711\/start\/x"\]/.test(line))).toBe(true);
    expect(lines.filter((line) => /\["(?:[^"]*\/)?sh", "-c"/.test(line))).toEqual([]);
  });
});
