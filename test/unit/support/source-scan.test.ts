/** The scanner behind the architecture test: it finds every way to import, and nothing in comments and strings. */
import { describe, expect, it } from 'vitest';
import { readImports, tokenize } from '../../support/source-scan.ts';

const imports = (source: string): readonly string[] => readImports(tokenize(source)).map(({ how, specifier, line }) => `${line} ${how} ${specifier}`);

describe('source scan', () => {
  it.each([
    [`import a from 'x';`, '1 import x'],
    [`import a, { b as c, type D } from "x";`, '1 import x'],
    [`import * as a from 'x'`, '1 import x'],
    [`import {\n  a,\n} from 'x';`, '1 import x'],
    [`import type { A } from 'x';`, '1 import type x'],
    [`import type A from 'x';`, '1 import type x'],
    [`import type from 'x';`, '1 import x'],
    [`import 'x';`, '1 side effect x'],
    [`import"x"`, '1 side effect x'],
    [`import data from 'x' with { type: 'json' };`, '1 import x'],
    [`export { a } from 'x';`, '1 re-export x'],
    [`export * from 'x';`, '1 re-export x'],
    [`export * as a from 'x';`, '1 re-export x'],
    [`export type { A } from 'x';`, '1 re-export x'],
    [`const a = await import('x');`, '1 dynamic x'],
    [`const a = import(/* webpack */ 'x')`, '1 dynamic x'],
    [`type A = import('x').B;`, '1 dynamic x'],
    ['const a = await import(`x`);', '1 dynamic x'],
    [`const a = await import('x' + y);`, '1 dynamic null'],
    [`const a = await import(name);`, '1 dynamic null'],
    ['const a = `${await import("x")}`;', '1 dynamic x'],
    ['const a = `${{ a: `${import("x")}` }.a}`;', '1 dynamic x'],
    [`const a = require('x');`, '1 require x'],
    [`require.resolve('x')`, '1 require x'],
    [`/* c */ // d\nimport a from 'x';`, '2 import x'],
    [`const r = /'/;\nimport('x')`, '2 dynamic x'],
    [`const d = a / b / c; import('x')`, '1 dynamic x'],
    [`#!/usr/bin/env node\nimport 'x'`, '2 side effect x'],
  ])('%s', (source, expected) => {
    expect(imports(source)).toEqual([expected]);
  });

  it.each([
    `// import a from 'x';`,
    `/* import a from 'x'; */`,
    `const text = "import a from 'x'";`,
    'const text = `import("x") ${1} import("y")`;',
    `const re = /import("x")/;`,
    `a.import('x'); a?.require('y');`,
    `const here = import.meta.url;`,
    `export { a };\nconst from = 'x';`,
    `export const a = 'x';`,
    `const o = { import: 'x', from: 'y' };`,
  ])('finds nothing in %s', (source) => {
    expect(imports(source)).toEqual([]);
  });

  it.each(["const a = 'x", 'const a = `x', 'const a = `${x`'])('throws on what it cannot read: %s', (source) => {
    expect(() => tokenize(source)).toThrow();
  });
});
