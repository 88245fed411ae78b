/** docs/adopt.md against the finders. */
import { describe, expect, it } from 'vitest';
import type { Finder } from '../../../client/adopt/finder.ts';
import { FINDERS } from '../../../client/adopt/finders/index.ts';
import { kindWords } from '../../../client/adopt/words.ts';
import { readDocument, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('docs/adopt.md');

function move({ fix }: Finder): string {
  if (fix === null) return 'no';
  if (fix.end.by !== 'command') return fix.end.by === 'removal' ? 'removal' : 'by you';
  return `\`${fix.end.argv.join(' ')}\`, ${fix.end.revokes ? 'revokes' : 'forgets'}`;
}

function rowOf(finder: Finder): readonly string[] {
  const kinds = [...new Set(finder.places.flatMap(({ marks }) => marks.map(({ kind }) => kindWords(kind))))];
  return [
    `\`${finder.tool}\`: ${finder.name}`,
    finder.places.map(({ path }) => `\`${path}\``).join(' '),
    kinds.join(', '),
    move(finder),
    finder.sources.map((source, i) => `[${i + 1}](${source})`).join(' '),
  ];
}

describe('docs/adopt.md', () => {
  it('has every tool as its finder says', () => {
    const expected = FINDERS.map((finder) => `| ${rowOf(finder).join(' | ')} |`).join('\n');
    const stated = rowsOf(sectionOf(TEXT, 'Tools')).map((row) => `| ${row.join(' | ')} |`).join('\n');
    expect(stated).toBe(expected);
  });

  it('has every kind that a document may name', () => {
    const kinds = new Set(FINDERS.flatMap(({ places }) => places.flatMap(({ marks }) => marks.map(({ kind }) => kind))));
    for (const kind of kinds) expect(TEXT).toContain(`\`${kind}\``);
  });
});
