/** The released build has no fault points: their labels are comments there, and the hook is nowhere. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { buildFaulty, faultCodeIn, labelsIn, readTree } from '../support/fault-build.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly files: readonly string[] };
const shipped = new Map(manifest.files.filter((path) => path.startsWith('dist/')).flatMap((path) => (existsSync(join(ROOT, path)) ? [...readTree(join(ROOT, path), /\.[cm]?js$/)] : [])));
const inSource = labelsIn(readTree(join(ROOT, 'daemon'), /\.ts$/));
const faulty = buildFaulty();
afterAll(() => faulty.remove());

describe('fault points', () => {
  it('are named once each, and the faulty build has them all', () => {
    expect(inSource.length).toBeGreaterThan(40);
    expect(inSource.toSorted()).toEqual([...new Set(inSource)].toSorted());
    expect(faulty.labels).toEqual(inSource.toSorted());
  });

  it('are no code in what ships', () => {
    expect(shipped.size).toBeGreaterThan(100);
    expect(faultCodeIn(shipped, inSource)).toEqual([]);
  });

  it('lie outside of what ships where they are code', () => {
    const copy = readTree(faulty.dir, /\.js$/);
    for (const path of copy.keys()) expect(manifest.files.some((each) => path.startsWith(join(ROOT, each))), path).toBe(false);
    // The check above finds in the faulty build what it has to find.
    const found = faultCodeIn(copy, inSource).join('\n');
    for (const label of inSource) expect(found).toContain(label);
  });

  it.each([
    `await globalThis[Symbol.for('valetkey.fault')]?.('x.y');`,
    'const dir = process.env.VALETKEY_TEST_FAULTS;',
    `hook('${inSource[0] ?? ''}');`,
    `hook("${inSource[0] ?? ''}");`,
  ])('are found where somebody plants one: %s', (line) => {
    expect(faultCodeIn(new Map([['dist/daemon/a.js', `const a = 1;\n${line}\n`]]), inSource)).not.toEqual([]);
  });

  it('are not found in a comment', () => {
    expect(faultCodeIn(new Map([['dist/daemon/a.js', `    // @fault ${inSource[0] ?? ''}\n`]]), inSource)).toEqual([]);
  });
});
