/** What stands in the daemon's bundle to load the rest of it by compiled code, tried on files of one line. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { requireCompiled } = createRequire(import.meta.url)('../../../scripts/compiled-ahead.cjs') as { requireCompiled: { toString(): string } };
const HERE = `${process.version} ${process.platform} ${process.arch}`;
/** V8 compares lengths of sources and no more, so which of the two runs shows where it came from. */
const source = (answer: number): string => `exports.answer = ${answer}; exports.later = () => require('./later.cjs');`;
const COMPILED = source(41);
const SOURCE = source(42);
let place: string;

beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-compiled-')));
  writeFileSync(join(place, 'rest.cjs'), COMPILED);
  // In a process of its own: vitest's has flags of V8.
  const compile = `fs.writeFileSync('rest.cjs.v8', new vm.Script(module.constructor.wrap(fs.readFileSync('rest.cjs', 'latin1'))).createCachedData())`;
  execFileSync(process.execPath, ['-e', compile], { cwd: place, env: {} });
  writeFileSync(join(place, 'rest.cjs'), SOURCE);
  writeFileSync(join(place, 'later.cjs'), `exports.all = [require('./rest.cjs'), require('./entry.cjs')];`);
});
afterEach(() => rmSync(place, { recursive: true }));

const read = (name: string): Buffer => readFileSync(join(place, name));
const digest = (): string => createHash('sha256').update(read('rest.cjs')).update(read('rest.cjs.v8')).digest('hex');

/** Runs an entry as the bundle has it, and what is loaded later, which requires both. */
function answer(digests: Readonly<Record<string, string>>, flags: readonly string[] = [], meanwhile = ''): string {
  const loading = `requireCompiled(require, module, 'rest.cjs', ${JSON.stringify(digests)}, ['later.cjs'])`;
  writeFileSync(join(place, 'entry.cjs'), `const rest = ${loading};\n${meanwhile};\nconst { all } = rest.later();\nconsole.log(rest.answer, all[0] === rest && all[1] === module.exports && rest.later().all === all);\n${requireCompiled}`);
  return execFileSync(process.execPath, [...flags, join(place, 'entry.cjs')], { encoding: 'utf8', env: {}, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

describe('the bundle', () => {
  it('runs what was compiled ahead where the entry names it, for all who require it', () => {
    expect(answer({ [HERE]: digest() })).toBe('41 true');
  });

  it('compiles the source where the entry names nothing for this Node, or other bytes', () => {
    const named = digest();
    expect(answer({})).toBe('42 true');
    expect(answer({ 'v99.0.0 linux x64': named })).toBe('42 true');
    writeFileSync(join(place, 'rest.cjs.v8'), read('rest.cjs.v8').fill(0x5a, 64, 66));
    expect(answer({ [HERE]: named })).toBe('42 true');
    rmSync(join(place, 'rest.cjs.v8'));
    expect(answer({ [HERE]: named })).toBe('42 true');
  });

  it('compiles the source where that is not what the entry names', () => {
    const named = digest();
    writeFileSync(join(place, 'rest.cjs'), source(43));
    expect(answer({ [HERE]: named })).toBe('43 true');
  });

  it('reads what is loaded later as it was at the start, also at a second try', () => {
    const later = JSON.stringify(join(place, 'later.cjs'));
    for (const replace of [`fs.rmSync(${later})`, `fs.rmSync(${later}); fs.writeFileSync(${later}, 'exports.all = [];')`]) {
      writeFileSync(join(place, 'later.cjs'), `if (!globalThis.hasTried) { globalThis.hasTried = true; throw new Error('not yet'); }\nexports.all = [require('./rest.cjs'), require('./entry.cjs')];`);
      const tries = `const fs = require('node:fs'); ${replace}; try { rest.later(); console.log('at once'); } catch (cause) { console.log(cause.message); }`;
      expect(answer({}, [], tries)).toBe('not yet\n42 true');
    }
  });

  it('compiles the source where V8 refuses: under other flags, or of another version', () => {
    expect(answer({ [HERE]: digest() }, ['--max-semi-space-size=1'])).toBe('42 true');
    // The first words are V8's own: what it is, of which version, of which source.
    writeFileSync(join(place, 'rest.cjs.v8'), read('rest.cjs.v8').fill(0xff, 4, 8));
    expect(answer({ [HERE]: digest() })).toBe('42 true');
  });
});
