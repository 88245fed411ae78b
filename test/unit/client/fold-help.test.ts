/** Help on a terminal that is narrow: nothing is cut, and an example that was folded does what it did whole. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { foldHelp } from '../../../client/fold-help.ts';

const EXAMPLES = [
  'curl -H "$(valetkey token work --format header)" https://api.example.com/me',
  'valetkey login prod --scope admin:all --reason "restore the backup, ticket 4711"',
  'valetkey profile add work --issuer https://login.example.com --client-id cli',
  'TOKEN=$(valetkey token work --min-ttl 600 --no-interactive)',
  'valetkey audit search --json | jq -r .event | sort',
] as const;

/** The words that a shell makes of it: each program prints what it was given. */
function words(command: string): string {
  const { stdout, status } = spawnSync('sh', ['-c', `valetkey() { printf '<%s>' valetkey "$@"; }; curl() { printf '<%s>' curl "$@"; }; jq() { cat; printf '<%s>' jq "$@"; }; sort() { cat; }\n${command}\nprintf '%s' "$TOKEN"`], { encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout;
}

describe('an example of the help', () => {
  it.each(EXAMPLES)('%s: is as it is where it fits', (command) => {
    expect(foldHelp(`Examples:\n  $ ${command}\n`, 100)).toBe(`Examples:\n  $ ${command}\n`);
  });

  it.each(EXAMPLES.flatMap((command) => [40, 60].map((columns) => [command, columns] as const)))('%s: does the same in %d columns', (command, columns) => {
    const folded = foldHelp(`  $ ${command}`, columns);
    expect(words(folded.replace(/^ {2}\$ /, ''))).toBe(words(command));
    // What stays longer is one word, or a flag with what it takes.
    for (const line of folded.split('\n')) expect(line.length <= columns || /["'(]/.test(line), line).toBe(true);
  });

  it('has above it what it is about', () => {
    expect(foldHelp('  $ valetkey token work    # for a shell that has no terminal of its own', 40)).toBe('  # for a shell that has no terminal of\n  # its own\n  $ valetkey token work');
  });
});

describe('what stands around it', () => {
  it('is folded between words, with its indent, and rows of columns are left alone', () => {
    expect(foldHelp('  one two three four five six seven eight', 30)).toBe('  one two three four five six\n  seven eight');
    const row = `  --flag <VALUE>   ${'x '.repeat(30)}`;
    expect(foldHelp(row, 40)).toBe(row);
  });
});
