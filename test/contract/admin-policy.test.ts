/**
 * The admin's file at its real path, in a mount namespace in which /etc is a directory of this test's: what is
 * compiled in is what is read, and what somebody else could have put there is refused.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILT = join(ROOT, 'dist/daemon/config');
/** Reads as the daemon does, under variables that would move the path if any could. */
const PROBE = `
import { adminPolicyFile, readAdminPolicy } from '${BUILT}/policy/admin-file.js';
import { createPolicyFiles } from '${BUILT}/policy/files.js';
import { readTextFile } from '${BUILT}/files.js';
const files = createPolicyFiles({ userFile: '/nonexistent/policy.toml', adminFile: adminPolicyFile('linux'), uid: 1000, readFile: readTextFile, readAdmin: readAdminPolicy });
files.read().then(({ admin }) => console.log(admin === null ? 'none' : admin.rules.map(({ name }) => name).join()), (error) => console.log(error.code + ' ' + error.message));
`;
const POLICY = 'v = 1\n[[rules]]\nname = "from-etc"\ndecide = "deny"\n';

function within(steps: string): { readonly status: number | null; readonly text: string } {
  const script = `set -e\nmount -t tmpfs -o mode=755 none /etc\n${steps}\nexec "$NODE" --input-type=module -e "$PROBE"`;
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', '--', 'sh', '-c', script], {
    encoding: 'utf8', timeout: 20_000, cwd: '/',
    env: { PATH: process.env['PATH'] ?? '', NODE: process.execPath, PROBE, POLICY, XDG_CONFIG_DIRS: '/tmp', XDG_CONFIG_HOME: '/tmp', VALETKEY_POLICY: '/tmp/policy.toml' },
  });
  return { status, text: `${stdout}${stderr}`.trim() };
}

const probe = within('true');
const canRun = process.getuid?.() === 0 && probe.status === 0;
if (!canRun) console.warn(`not run: the admin's file at its real path: no mount namespace may be made here, or these tests do not run as root (${probe.text.slice(0, 200)})`);

const WRITTEN = 'mkdir -m 755 /etc/valetkey\nprintf "%s" "$POLICY" > /etc/valetkey/policy.toml\nchmod 644 /etc/valetkey/policy.toml\n';

describe.skipIf(!canRun)('[FC-09] /etc/valetkey/policy.toml', () => {
  it('is read where it is root\'s, and no variable moves it', () => {
    expect(within(WRITTEN).text).toBe('from-etc');
    expect(within('true').text).toBe('none');
    expect(within('mkdir -m 755 /etc/valetkey').text).toBe('none');
  });

  it.each([
    ['belongs to the user', `${WRITTEN}chown 1000 /etc/valetkey/policy.toml`, '/etc/valetkey/policy.toml belongs to the user with id 1000'],
    ['can be written by a group', `${WRITTEN}chmod 664 /etc/valetkey/policy.toml`, '/etc/valetkey/policy.toml can be written by others (mode 664)'],
    ['stands in a directory of the user\'s', `${WRITTEN}chown 1000 /etc/valetkey`, '/etc/valetkey belongs to the user with id 1000'],
    ['stands in a directory that all may write', `${WRITTEN}chmod 1777 /etc/valetkey`, '/etc/valetkey can be written by others (mode 1777)'],
    ['is not there, but anybody could have taken it away', 'mkdir -m 777 /etc/valetkey; chmod 777 /etc/valetkey', '/etc/valetkey can be written by others (mode 777)'],
    ['is a link', `${WRITTEN}mv /etc/valetkey/policy.toml /etc/p; ln -s /etc/p /etc/valetkey/policy.toml`, '/etc/valetkey/policy.toml is a symbolic link'],
    ['is behind a link', `${WRITTEN}mv /etc/valetkey /etc/v; ln -s /etc/v /etc/valetkey`, '/etc/valetkey is a symbolic link'],
    ['is a FIFO', 'mkdir -m 755 /etc/valetkey; mkfifo -m 644 /etc/valetkey/policy.toml', '/etc/valetkey/policy.toml is not a regular file'],
  ])('allows nothing where it %s', (_, steps, why) => {
    expect(within(steps).text).toContain(`policy_untrusted ${why}`);
  });
});
