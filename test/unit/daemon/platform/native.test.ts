import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { loadNative, openLibrary } from '../../../../daemon/platform/native.ts';

describe('native', () => {
  it('calls C functions and gives minus errno for a failure', () => {
    const native = loadNative();
    expect(native.call('int getpid()')).toBe(process.pid);
    expect(native.call('int flock(int, int)', 1_000_000, 6)).toBe(-constants.errno.EBADF);
  });

  it('says peer_credentials_unavailable where koffi is absent', () => {
    const absent = (): never => {
      throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
    };
    expect(() => openLibrary('linux', absent)).toThrow(expect.objectContaining({ code: 'peer_credentials_unavailable' }));
  });

  it.each(['win32', 'freebsd', 'sunos'])('says platform_unsupported on %s', (platform) => {
    expect(() => loadNative(platform)).toThrow(expect.objectContaining({ code: 'platform_unsupported' }));
  });
});
