/**
 * Modules that are loaded when they are first needed, so that a daemon that does without them does without their
 * memory and time as well. Node takes an ES module that it could not open for broken until the process ends: so
 * none is tried while callers hold nearly all descriptors (EMFILE, which passes), and the next one who needs it
 * tries again. Of what is built into Node nothing is opened; that needs no such care.
 */
import { closeSync, openSync } from 'node:fs';

/** Twice what the largest of them has open at once, 33, where it is loaded from single files: others open some meanwhile. */
const DESCRIPTORS = 64;

/** @returns the module, loaded at the first call; rejects where it cannot be loaded now */
export function later<Module>(load: () => Promise<Module>): () => Promise<Module> {
  let loading: Promise<Module> | null = null;
  const tryToLoad = async (): Promise<Module> => {
    assertDescriptors();
    return load();
  };
  return () => {
    loading ??= tryToLoad().catch((cause: unknown) => {
      loading = null;
      throw cause;
    });
    return loading;
  };
}

/** Throws EMFILE or ENFILE where there are not so many left. */
function assertDescriptors(): void {
  const open: number[] = [];
  try {
    while (open.length < DESCRIPTORS) open.push(openSync('/dev/null', 'r'));
  } finally {
    for (const descriptor of open) closeSync(descriptor);
  }
}
