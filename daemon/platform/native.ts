/**
 * The one door to the C library, through koffi. It is loaded at its first use, once a process, as the
 * dynamic loader itself would do. Without it nobody can tell who is calling, so its absence is an error
 * and never a weaker mode. Every caller takes `Native` as its last argument: that is the seam for tests and
 * for systems that this machine is not.
 */
import { createRequire } from 'node:module';
import { BrokerError } from '../core/errors.ts';

export type NativeArgument = number | string | Uint8Array | null;

export type Native = {
  readonly platform: 'linux' | 'darwin';
  /** Calls a C function by its declaration. Returns what it returned, or minus errno where that was -1. */
  call(declaration: string, ...args: readonly NativeArgument[]): number;
};

let loaded: Native | null = null;

export function loadNative(platform: string = process.platform): Native {
  if (platform !== 'linux' && platform !== 'darwin') {
    throw new BrokerError('platform_unsupported', `valetkeyd does not run on ${platform} yet`);
  }
  loaded ??= openLibrary(platform);
  return loaded;
}

const require = createRequire(import.meta.url);
/** koffi's own packages of one binary each. */
const BINARIES: Readonly<Record<string, () => typeof import('koffi')>> = {
  'linux-x64': () => require('@koromix/koffi-linux-x64'),
  'linux-arm64': () => require('@koromix/koffi-linux-arm64'),
  'darwin-x64': () => require('@koromix/koffi-darwin-x64'),
  'darwin-arm64': () => require('@koromix/koffi-darwin-arm64'),
};

/**
 * By the package of the binary, which has all that is needed here. koffi's own entry, which looks for it in a dozen
 * places, takes as long again and 1.8 MB, and its package is the only one that would run a script at the installation.
 */
function loadKoffi(): typeof import('koffi') {
  const load = BINARIES[`${process.platform}-${process.arch}`];
  if (load === undefined) throw new Error(`there is no library of koffi's for ${process.platform} on ${process.arch}`);
  return load();
}

/** @param load - throws where koffi or its binary is absent. */
export function openLibrary(platform: Native['platform'], load: () => typeof import('koffi') = loadKoffi): Native {
  try {
    const koffi = load();
    // The process itself: Node is linked to the system's libc, whatever that is called here.
    const library = koffi.load(null);
    const functions = new Map<string, ReturnType<typeof library.func>>();
    return {
      platform,
      call(declaration, ...args) {
        const known = functions.get(declaration);
        const target = known ?? library.func(declaration);
        if (known === undefined) functions.set(declaration, target);
        const result = Number(target(...args));
        return result === -1 ? -koffi.errno() : result;
      },
    };
  } catch (cause) {
    throw new BrokerError('peer_credentials_unavailable', 'koffi, which asks the kernel who is calling, cannot be loaded', { cause });
  }
}
