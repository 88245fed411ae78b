/**
 * Scripts that ask and try to approve themselves, from outside: the daemon as it ships, an ordinary user, real
 * terminals, and nothing above them but process 1 of a pid namespace.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readablePlace } from '../support/readable-place.ts';
import { ROOT } from './built-cli.ts';

const UID = 65_534;
const AS = ['unshare', '-pf', '--mount-proc', 'setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--inh-caps=-all', '--'] as const;
const PATH = `${dirname(realpathSync(process.execPath))}:/usr/bin:/bin`;
const probe = spawnSync(AS[0], [...AS.slice(1), 'sh', '-c', 'node -e 0 && script --version && /usr/bin/python3 -c "import pty"'], { cwd: '/', env: { PATH }, encoding: 'utf8' });
if (probe.status !== 0) console.log(`skipped: scripts that approve themselves; it takes root, unshare, setpriv, script, python3 and a node for everybody: ${probe.stderr ?? ''}`);

const CONFIG = 'v = 1\n[vault]\nbackend = "memory"\n[workloads.work]\nissuer = "https://issuer.example"\nclient_id = "job"\nowner = "ops@example"\npurpose = "a test"\nexpires = "2099-01-01"\n';
const POLICY = 'v = 1\n[[rules]]\nname = "all"\ndecide = "confirm"\nask = "for:1h"\n';

describe.skipIf(probe.status !== 0)('a script that asks for a token', () => {
  let dir: string;
  const came = new Map<string, string>();

  beforeAll(() => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-self-')));
    for (const name of ['run', 'state', 'config', 'config/valetkey', 'home', 'scripts']) mkdirSync(join(dir, name), { mode: 0o700 });
    writeFileSync(join(dir, 'config/valetkey/config.toml'), CONFIG, { mode: 0o600 });
    writeFileSync(join(dir, 'config/valetkey/policy.toml'), POLICY, { mode: 0o600 });
    copyFileSync(join(ROOT, 'test/support/self-approval.py'), join(dir, 'scripts/self-approval.py'));
    for (const name of ['.', 'run', 'state', 'config', 'config/valetkey', 'home', 'scripts', 'config/valetkey/config.toml', 'config/valetkey/policy.toml', 'scripts/self-approval.py']) chownSync(join(dir, name), UID, UID);
    chmodSync(dir, 0o700);
    const env = { PATH, HOME: join(dir, 'home'), XDG_RUNTIME_DIR: join(dir, 'run'), XDG_STATE_HOME: join(dir, 'state'), XDG_CONFIG_HOME: join(dir, 'config'), TERM: 'dumb', PYTHONDONTWRITEBYTECODE: '1' };
    const run = spawnSync(AS[0], [...AS.slice(1), 'sh', '-c', `/usr/bin/python3 '${dir}/scripts/self-approval.py' '${readablePlace().daemon}'; true`], { cwd: '/', env, encoding: 'utf8', timeout: 150_000 });
    for (const line of run.stdout.split('\n').filter((each) => each.startsWith('['))) {
      const [name = '', text = ''] = JSON.parse(line) as readonly string[];
      came.set(name, text);
    }
    if (came.size === 0) throw new Error(`nothing was tried: ${run.stdout}${run.stderr}`);
  }, 180_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it.each([
    ['by the process that asked', 'itself', /terminal of the program that asks|started the program that asks/],
    ['by another name', 'renamed', /terminal of the program that asks|started the program that asks/],
    ['by script(1)', 'script', /terminal from which the program that asks was started|younger than the question|started by the program/],
    ['in a new terminal', 'new_terminal', /younger than the question|started by the program/],
    ['in a terminal that it made before it asked', 'old_terminal', /started by the program that asks/],
    ['by a process that lost its parents', 'left_behind', /outside of a login session|left behind/],
    ['for a child that left its session', 'for_a_child', /started the program that asks/],
  ])('[IP-10] cannot approve itself %s', (_how, name, why) => {
    expect(came.get(name)).toMatch(/^approval_refused: .* \/ approval_required$/);
    expect(came.get(name)).toMatch(why);
  });

  it('can by an accomplice in a terminal of its own making, as limit 11 of SECURITY.md says (control)', () => {
    expect(came.get('other_terminal')).toBe('agreed:  / issuer_unreachable');
  });
});
