'use strict';
/**
 * Stands in the first file of the daemon's bundle and requires the second by what V8 compiled of it when the bundle
 * was made, which saves a quarter of a start. Nothing is trusted for lying there: the entry itself names, by one
 * digest, the source together with what was compiled of it, and for which Node. V8 itself refuses what is
 * of another version of it, or was compiled under other flags. In every other case the source is compiled as ever.
 *
 * @param {NodeJS.Require} require - the entry's own
 * @param {NodeJS.Module} module - the entry's own
 * @param {string} file - beside the entry; what was compiled of it lies in FILE.v8
 * @param {Readonly<Record<string, string>>} digests - SHA-256 of source and compiled code, by Node's version, system and processor
 */
function requireCompiled(require, module, file, digests) {
  const { readFileSync } = require('node:fs');
  const path = require('node:path').join(__dirname, file);
  const digest = digests[`${process.version} ${process.platform} ${process.arch}`];
  let source, cachedData;
  try {
    if (digest === undefined) return require(path);
    source = readFileSync(path);
    cachedData = readFileSync(`${path}.v8`);
  } catch {
    return require(path);
  }
  const found = require('node:crypto').createHash('sha256').update(source).update(cachedData).digest('hex');
  if (found !== digest) return require(path);
  const { Module, createRequire, wrap } = require('node:module');
  // The source is ASCII.
  const script = new (require('node:vm').Script)(wrap(source.latin1Slice()), { filename: path, cachedData });
  const made = Object.assign(new Module(path, module), { filename: path, paths: module.paths });
  require.cache[path] = made; // the other files require it, too
  script.runInThisContext()(made.exports, createRequire(path), made, path, __dirname);
  made.loaded = true;
  return made.exports;
}

module.exports = { requireCompiled };
