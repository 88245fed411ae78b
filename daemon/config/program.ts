import { isAbsolute } from 'node:path';

/** What is wrong with the words of a command that no shell reads; null: nothing. */
export function programProblem(argv: readonly string[]): string | null {
  const [command = ''] = argv;
  if (argv.includes('')) return 'must not hold an empty word';
  // No shell reads it, so a relative path would mean another file in each directory.
  if (!isAbsolute(command) && !/^[A-Za-z0-9_+][A-Za-z0-9._+-]*$/.test(command)) return 'must begin with an absolute path or the bare name of a command';
  return argv.some((word) => word.includes('\0')) ? 'must not hold a NUL' : null;
}
