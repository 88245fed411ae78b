import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { listDir, onDisk, syncDir } from './private-files.ts';

/** Made with the vault; that of workloads with the first of them. */
export const FOLDERS = ['grants', 'revocations', 'secrets'] as const;

export function eraseFolders(stateDir: string): Promise<void> {
  return onDisk(stateDir, async () => {
    if ((await listDir(stateDir)).length === 0) return;
    for (const name of [...FOLDERS, 'workloads']) await rm(join(stateDir, name), { recursive: true, force: true });
    await syncDir(stateDir);
  });
}
