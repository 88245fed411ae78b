/** What stands in the daemon's bundle to load the rest of it by compiled code, tried on a file of one line. */
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
const COMPILED = 'exports.answer = 41;';
const SOURCE = 'exports.answer = 42;';
let place: string;

beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-compiled-')));
  writeFileSync(join(place, 'rest.cjs'), COMPILED);
  // In a process of its own: vitest's has flags of V8.
  const compile = `fs.writeFileSync('rest.cjs.v8', new vm.Script(module.constructor.wrap(fs.readFileSync('rest.cjs', 'latin1'))).createCachedData())`;
  execFileSync(process.execPath, ['-e', compile], { cwd: place, env: {} });
  writeFileSync(join(place, 'rest.cjs'), SOURCE);
});
afterEach(() => rmSync(place, { recursive: true }));

const read = (name: string): Buffer => readFileSync(join(place, name));
const digest = (): string => createHash('sha256').update(read('rest.cjs')).update(read('rest.cjs.v8')).digest('hex');

/** Runs an entry as the bundle has it. */
function answer(digests: Readonly<Record<string, string>>, flags: readonly string[] = []): string {
  const loading = `requireCompiled(require, module, 'rest.cjs', ${JSON.stringify(digests)})`;
  writeFileSync(join(place, 'entry.cjs'), `const rest = ${loading};\nconsole.log(rest.answer, require('./rest.cjs') === rest);\n${requireCompiled}`);
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
    writeFileSync(join(place, 'rest.cjs'), 'exports.answer = 43;');
    expect(answer({ [HERE]: named })).toBe('43 true');
  });

  it('compiles the source where V8 refuses: under other flags, or of another version', () => {
    expect(answer({ [HERE]: digest() }, ['--max-semi-space-size=1'])).toBe('42 true');
    // The first words are V8's own: what it is, of which version, of which source.
    writeFileSync(join(place, 'rest.cjs.v8'), read('rest.cjs.v8').fill(0xff, 4, 8));
    expect(answer({ [HERE]: digest() })).toBe('42 true');
  });
});
