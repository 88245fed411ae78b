/** The socket of launchd, behind its seam: what is asked and what is made of the answer. It never ran on a Mac. */
import { describe, expect, it } from 'vitest';
import { launchdListener } from '../../../../daemon/platform/launchd.ts';
import type { Native, NativeArgument } from '../../../../daemon/platform/native.ts';

const AGENT = { XPC_SERVICE_NAME: 'dev.valetkey.agent' };

/** launch_activate_socket(3): allocates an array of descriptors, which its caller frees. */
function mac(fds: readonly number[], failed = 0): Native & { readonly asked: (readonly NativeArgument[])[]; readonly freed: NativeArgument[] } {
  const asked: (readonly NativeArgument[])[] = [];
  const freed: NativeArgument[] = [];
  const AT = 0x7000_0010_0000;
  return {
    platform: 'darwin', asked, freed,
    call(declaration, ...args) {
      asked.push([declaration.replace(/\(.*/, ''), ...args]);
      const [first, second, third] = args;
      if (declaration.includes('launch_activate_socket')) {
        if (second instanceof Uint8Array) new DataView(second.buffer).setBigUint64(0, BigInt(AT), true);
        if (third instanceof Uint8Array) new DataView(third.buffer).setBigUint64(0, BigInt(fds.length), true);
        return failed;
      }
      if (declaration.includes('memcpy')) {
        expect(second).toBe(AT);
        if (first instanceof Uint8Array) new DataView(first.buffer).setInt32(0, fds[0] ?? -1, true);
        return 0;
      }
      if (declaration.includes('free')) freed.push(first ?? null);
      return 0;
    },
  };
}

describe('the socket of launchd', () => {
  it('is asked for by the name that the agent gives it, once, and its array is freed', () => {
    const native = mac([9]);
    expect(launchdListener(AGENT, native)).toBe(9);
    expect(native.asked[0]?.slice(0, 2)).toEqual(['int launch_activate_socket', 'Listeners']);
    expect(native.freed).toEqual([0x7000_0010_0000]);
  });

  it('is not asked for by a process that launchd did not start as the agent, nor elsewhere than on macOS', () => {
    const native = mac([9]);
    expect(launchdListener({}, native)).toBeNull();
    expect(launchdListener({ XPC_SERVICE_NAME: 'com.apple.Terminal' }, native)).toBeNull();
    expect(launchdListener(AGENT, { ...native, platform: 'linux' })).toBeNull();
    expect(native.asked).toEqual([]);
  });

  it.each([['it has none', mac([], 2)], ['there are two', mac([9, 10])]])('refuses to guess where %s', (_, native) => {
    expect(() => launchdListener(AGENT, native)).toThrow('launchd passed on');
  });
});
