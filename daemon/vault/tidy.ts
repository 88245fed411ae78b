import { checkPrivateDir, errnoOf, onDisk, sweepTemporary } from './private-files.ts';

/** Before anything is read: the directory is private, and what a crash left half written is gone. */
export function tidy(stateDir: string): Promise<void> {
  return onDisk(stateDir, async () => {
    try {
      await checkPrivateDir(stateDir);
      await sweepTemporary(stateDir);
    } catch (cause) {
      // Made when the first file is: a vault in memory writes none.
      if (errnoOf(cause) !== 'ENOENT') throw cause;
    }
  });
}
