import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readDocument, ROOT, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('SECURITY.md');
const THREATS = rowsOf(sectionOf(TEXT, 'Threats'));

describe('[GV-02] SECURITY.md', () => {
  it('has threats of every kind of attacker', () => {
    expect(THREATS.length).toBeGreaterThan(40);
    for (const who of ['A program of the same user', 'A caller that is not who it seems', 'Another user of the machine', 'Root', 'A hostile issuer, or somebody between', 'A hostile resource, or web page', 'A phisher']) {
      expect(rowsOf(sectionOf(TEXT, who)).length, who).toBeGreaterThan(1);
    }
  });

  it.each(THREATS.map(([threat = '', answer = '', proof = '']) => [threat, answer, proof] as const))('[GV-02] names a test that exists: %s', (threat, answer, proof) => {
    expect(threat).not.toBe('');
    expect(answer).not.toBe('');
    const [, file = '', title = ''] = /^`(test\/[^`]+\.test\.ts)`: (.{4,})$/.exec(proof) ?? [];
    expect(existsSync(`${ROOT}${file}`), file).toBe(true);
    // A title is the text of a call that goes on with a function; `[rows])('title', …` is one, too.
    const titles = [...readFileSync(`${ROOT}${file}`, 'utf8').matchAll(/\((['`])((?:\\.|(?!\1).)*)\1, (?:\{[^}]*\}, )?(?:async )?\(/g)].map(([, , found = '']) => found.replaceAll('\\', ''));
    expect(titles.some((found) => found.includes(title)), `${file} has no test "${title}"`).toBe(true);
  });

  it('states fifteen limits, in order', () => {
    const numbers = [...sectionOf(TEXT, 'Honest limits').matchAll(/^(\d+)\. \*\*/gm)].map(([, n]) => Number(n));
    expect(numbers).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    for (const [, n] of TEXT.matchAll(/limit (\d+)/g)) expect(numbers).toContain(Number(n));
  });
});
