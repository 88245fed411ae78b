/** The device flow at a terminal: the person confirms, reads the code there, and enters it in another browser. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('the device flow', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer();
    mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
    writeFileSync(join(home.base, 'config/valetkey/config.toml'), `v = 1
[device]
issuers = ["${issuer.url}"]
[profiles.remote]
issuer = "${issuer.url}"
client_id = "valetkey"
scopes = ["openid", "offline_access"]
allow_loopback_http = true
`, { mode: 0o600 });
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  /** Types what `answer` makes of each new text on the terminal. */
  async function converse(args: readonly string[], answer: (shown: string) => Promise<string | null>, redirect = ''): Promise<{ exit: number | null; shown: string }> {
    const child = spawn('script', ['-qec', `${process.execPath} ${CLI} ${args.join(' ')} ${redirect}`, '/dev/null'], { env: { ...home.env, SHELL: '/bin/sh' }, stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      answer(shown).then((typed) => typed !== null && child.stdin.write(`${typed}\n`), (error: unknown) => child.emit('error', error));
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exit) => resolve({ exit, shown }));
    });
  }

  it('starts nothing at the issuer until a person has confirmed', async () => {
    let asked = false;
    const { exit, shown } = await converse(['login', 'remote'], async (text) => {
      if (asked || !text.includes('Code:')) return null;
      asked = true;
      return 'no';
    });
    expect(shown).toContain('(consent_required)');
    expect(exit).toBe(5);
    expect(issuer.count('device')).toBe(0);
  });

  it('[DG-05] shows host, code, expiry, tool, scopes, machine and warning at the terminal, opens nothing, and completes', async () => {
    let confirmed = false;
    let entered: Promise<unknown> | null = null;
    // Even with both streams in files, the prompt is at the terminal, and the code is in neither (DG-09).
    const files = `>${join(home.base, 'out')} 2>${join(home.base, 'err')}`;
    const { exit, shown } = await converse(['login', 'remote'], async (text) => {
      const code = /To go on, type (\S+)/.exec(text)?.[1];
      if (!confirmed && code !== undefined && text.includes('Code:')) {
        confirmed = true;
        return code;
      }
      const userCode = /Then enter this code:\s+(\S+)/.exec(text)?.[1];
      const page = /Open this page in a browser: (\S+)/.exec(text)?.[1];
      if (entered === null && userCode !== undefined && page !== undefined && text.includes('Expires')) {
        expect(issuer.requests.filter(({ endpoint }) => endpoint === 'authorization')).toEqual([]);
        entered = followLogin(page, { login: 'ada', userCode });
      }
      return null;
    }, files);
    await entered;
    expect(exit).toBe(0);
    const userCode = /Then enter this code:\s+(\S+)/.exec(shown)?.[1] ?? 'none';
    for (const text of [`its host is:  ${new URL(issuer.url).host.split(':')[0] ?? ''}`, 'Expires   in', 'Asked by', 'openid offline_access', 'Machine', 'Stop if you did not start this. Never read this code to anyone.']) expect(shown).toContain(text);
    expect(spawnSync('cat', [join(home.base, 'out'), join(home.base, 'err')], { encoding: 'utf8' }).stdout).not.toContain(userCode);
    expect((await home.valetkey(['token', 'remote'])).exit).toBe(0);
  });
});
