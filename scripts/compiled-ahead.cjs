'use strict';
/**
 * Stands in the first file of the daemon's bundle, and requires the second.
 *
 * The files of a bundle know the parts of each other by letters that another build gives to others. An installation may
 * put its own in their place while this daemon runs and has not needed them all: so each is opened here, and read
 * by that descriptor when it is first required. What is removed, or renamed away, stays readable by it.
 *
 * The second comes by what V8 compiled of it when the bundle was made, which saves a quarter of a start. Nothing is
 * trusted for lying there: the entry itself names, by one digest, the source together with what was compiled of it,
 * and for which Node. V8 itself refuses what is of another version of it, or was compiled under other flags. In every
 * other case the source is compiled as ever.
 *
 * @param {NodeJS.Require} require - the entry's own
 * @param {NodeJS.Module} module - the entry's own
 * @param {string} file - beside the entry; what was compiled of it lies in FILE.v8
 * @param {Readonly<Record<string, string>>} digests - SHA-256 of source and compiled code, by Node's version, system and processor
 * @param {readonly string[]} others - the rest of the bundle
 */
function requireCompiled(require, module, file, digests, others) {
  const { closeSync, fstatSync, openSync, readFileSync, readSync } = require('node:fs');
  const { basename, join } = require('node:path');
  const { Module, createRequire, wrap } = require('node:module');
  const { Script } = require('node:vm');
  const loaded = new Map([[`./${basename(__filename)}`, module]]);
  const descriptors = new Map(others.map((name) => [`./${name}`, openSync(join(__dirname, name))]));

  const readWhole = (descriptor) => {
    const bytes = Buffer.alloc(fstatSync(descriptor).size);
    readSync(descriptor, bytes, 0, bytes.length, 0);
    return bytes;
  };
  const run = (name, source, cachedData) => {
    const path = join(__dirname, name);
    const own = createRequire(path);
    const made = Object.assign(new Module(path, module), { filename: path, paths: module.paths });
    // The source is ASCII.
    const script = new Script(wrap(source.latin1Slice()), { filename: path, cachedData });
    loaded.set(name, made); // before it runs: they require each other
    try {
      script.runInThisContext()(made.exports, (asked) => (loaded.has(asked) || descriptors.has(asked) ? ofBundle(asked) : own(asked)), made, path, __dirname);
    } catch (cause) {
      loaded.delete(name); // whoever needs it next tries again
      throw cause;
    }
    made.loaded = true;
    return made.exports;
  };
  const ofBundle = (name) => {
    const known = loaded.get(name);
    if (known !== undefined) return known.exports;
    const descriptor = descriptors.get(name);
    const exports = run(name, readWhole(descriptor), undefined);
    descriptors.delete(name);
    closeSync(descriptor);
    return exports;
  };

  const path = join(__dirname, file);
  const source = readFileSync(path);
  const digest = digests[`${process.version} ${process.platform} ${process.arch}`];
  let cachedData;
  try {
    if (digest !== undefined) cachedData = readFileSync(`${path}.v8`);
  } catch {
    // Then it is compiled here.
  }
  const isMeant = cachedData !== undefined && require('node:crypto').createHash('sha256').update(source).update(cachedData).digest('hex') === digest;
  return run(`./${file}`, source, isMeant ? cachedData : undefined);
}

module.exports = { requireCompiled };
