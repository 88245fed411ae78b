import { describe, expect, it } from 'vitest';
import { readRootFacts, refuseForeignRoot } from '../../../../daemon/platform/root.ts';
import type { RootFacts } from '../../../../daemon/platform/root.ts';

const ROOT: RootFacts = { uid: 0, euid: 0, gid: 0, egid: 0, behalf: null, homeOwner: 0, runtimeDirOwner: 0 };
const USER: RootFacts = { uid: 1000, euid: 1000, gid: 1000, egid: 1000, behalf: null, homeOwner: 1000, runtimeDirOwner: 1000 };

describe('refuseForeignRoot', () => {
  it.each([
    ['sudo', { ...ROOT, behalf: { variable: 'SUDO_USER', value: 'ada' } }, /SUDO_USER/],
    ['doas', { ...ROOT, behalf: { variable: 'DOAS_USER', value: 'ada' } }, /DOAS_USER/],
    ['pkexec', { ...ROOT, behalf: { variable: 'PKEXEC_UID', value: '1000' } }, /PKEXEC_UID/],
    ['the home of another user', { ...ROOT, homeOwner: 1000 }, /HOME belongs to uid 1000/],
    ['the runtime directory of another user', { ...ROOT, runtimeDirOwner: 1000 }, /runtime directory belongs to uid 1000/],
    ['setuid to root', { ...USER, euid: 0 }, /setuid/],
    ['setuid to another user', { ...USER, euid: 1001 }, /setuid/],
    ['setgid', { ...USER, egid: 0 }, /setgid/],
  ])('refuses %s', (_, facts, message) => {
    expect(() => refuseForeignRoot(facts)).toThrow(expect.objectContaining({ code: 'run_as_root', message: expect.stringMatching(message) }));
  });

  it.each([
    ['root as the login user', ROOT],
    ['root in a container without home or runtime directory', { ...ROOT, homeOwner: null, runtimeDirOwner: null }],
    ['sudo by root itself', { ...ROOT, behalf: { variable: 'SUDO_USER', value: 'root' } }],
  ])('takes %s, with a warning', (_, facts) => {
    expect(refuseForeignRoot(facts)).toMatch(/runs as root/);
  });

  it.each([
    ['a user', USER],
    ['a user that sudo -u made', { ...USER, behalf: { variable: 'SUDO_USER', value: 'bob' } }],
  ])('takes %s without a word', (_, facts) => {
    expect(refuseForeignRoot(facts)).toBeNull();
  });

  it('reads the facts of this process', () => {
    const facts = readRootFacts({ SUDO_USER: 'ada', PKEXEC_UID: '1', HOME: '/' }, '/no/such/directory');
    expect(facts).toEqual({
      uid: process.getuid?.(), euid: process.geteuid?.(), gid: process.getgid?.(), egid: process.getegid?.(),
      behalf: { variable: 'SUDO_USER', value: 'ada' }, homeOwner: 0, runtimeDirOwner: null,
    });
  });
});
