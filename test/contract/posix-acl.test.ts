/**
 * Files that an access control list opens to somebody else, while their owner's bits look private (acl(5)). The mask of
 * such a list stands where the bits of the group would, so what looks at the mode sees it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeAuditDir } from '../../daemon/audit/audit-file.ts';
import { readTextFile } from '../../daemon/config/files.ts';
import { trustFault } from '../../daemon/config/policy/admin-file.ts';
import { createPolicyFiles } from '../../daemon/config/policy/files.ts';
import { ensurePrivateDir } from '../../daemon/platform/private-dir.ts';

/** The owner all, uid 4711 what is given here, the group and others nothing (linux/posix_acl_xattr.h). */
const GRANT = `
import os, struct, sys
path, perm = sys.argv[1], int(sys.argv[2])
NOBODY = 0xffffffff
entries = [(0x01, 7, NOBODY), (0x02, perm, 4711), (0x04, 0, NOBODY), (0x10, perm, NOBODY), (0x20, 0, NOBODY)]
os.setxattr(path, 'system.posix_acl_access', struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *each) for each in entries))
`;
const grant = (path: string, perm: number) => spawnSync('python3', ['-c', GRANT, path, String(perm)], { encoding: 'utf8' });
const READ_WRITE = 6;
const ALL = 7;
const uid = process.getuid?.() ?? -1;

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-acl-')));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const probe = mkdtempSync(join(tmpdir(), 'valetkey-acl-'));
const why = grant(probe, ALL).stderr;
rmSync(probe, { recursive: true });
if (why !== '') console.log(`skipped: access control lists; it takes python3 and a file system that has them: ${why.trim().split('\n').at(-1) ?? ''}`);

describe.skipIf(why !== '')('an access control list that lets somebody else write', () => {
  it('makes a policy untrusted, the user\'s and the admin\'s', async () => {
    const userFile = join(dir, 'policy.toml');
    writeFileSync(userFile, 'v = 1\n', { mode: 0o600 });
    const files = createPolicyFiles({ userFile, adminFile: null, uid, readFile: readTextFile, readAdmin: async () => null });
    expect((await files.read()).user).not.toBeNull();
    grant(userFile, READ_WRITE);
    await expect(files.read()).rejects.toMatchObject({ code: 'policy_untrusted' });
    const { mode } = await readTextFile(userFile) ?? expect.unreachable('it is gone');
    expect(trustFault([{ path: userFile, kind: 'file', uid: 0, mode }])).toMatchObject({ why: expect.stringContaining('can be written by others') });
  });

  it('makes the directory of the socket, and that of the audit, one that is not private', async () => {
    for (const [name, make] of [['run', async (path: string) => ensurePrivateDir(path, uid)], ['audit', makeAuditDir]] as const) {
      const path = join(dir, name);
      mkdirSync(path, { mode: 0o700 });
      chmodSync(path, 0o700);
      await make(path);
      grant(path, ALL);
      await expect(make(path)).rejects.toMatchObject({ code: 'runtime_dir_untrusted' });
    }
  });
});
