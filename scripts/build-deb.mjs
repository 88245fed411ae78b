/**
 * Makes the Debian package of this machine's architecture, of what the build left in dist/: the launcher, the CLI, the
 * bundled daemon, the few packages that these two load, units, manual pages and completions. Nothing runs at its
 * installation. The same sources make the same file, byte for byte, whoever builds it and under which umask.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, lstatSync, lutimesSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildLauncher } from './build-launcher.mjs';
import { cliFiles, runtimePackages } from './deb/runtime-packages.mjs';
import { thirdPartyLicences } from './production.mjs';
import { billOfMaterials } from './sbom.mjs';
import { sourceEpoch } from './source-date.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DIST = join(ROOT, 'dist');
/** The launcher looks for the CLI beside itself, and the units name this place. */
const HOME = 'usr/lib/valetkey';
/** Debian's; a launcher that does not find it takes the one of PATH. */
const NODE = '/usr/bin/node';

const read = (/** @type {string} */ file) => readFileSync(join(ROOT, file), 'utf8');

/** @param {string} command @param {readonly string[]} args @param {NodeJS.ProcessEnv} more */
function run(command, args, more = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, env: { ...env, LC_ALL: 'C', ...more } });
  if (status !== 0) throw new Error(`${command} ${args[0] ?? ''} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** The tree of the package. What is written gets the modes of a package, not of this umask. */
function treeIn(root) {
  const at = (/** @type {string} */ path) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  };
  const tree = {
    write(path, content, mode = 0o644) {
      writeFileSync(at(path), content);
      chmodSync(join(root, path), mode);
    },
    zip: (path, text) => tree.write(`${path}.gz`, gzipSync(text, { level: 9 })),
    copy(from, path, mode = 0o644) {
      copyFileSync(from, at(path));
      chmodSync(join(root, path), mode);
    },
    /** Files of a folder and those below it, where `wanted` says so. */
    copyAll(from, path, wanted = () => true) {
      for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
        const file = relative(from, join(entry.parentPath, entry.name));
        if (entry.isFile() && wanted(file)) tree.copy(join(from, file), `${path}/${file}`);
      }
    },
    link: (target, path) => symlinkSync(target, at(path)),
  };
  return tree;
}

/** Node's own path, so that no PATH says which Node holds the refresh tokens. */
function program(file) {
  return readFileSync(file, 'utf8').replace(/^#!.*\n/, `#!${NODE}\n`);
}

function installPrograms(tree) {
  const launcher = join(tmpdir(), `valetkey-launcher-${process.pid}`);
  try {
    if (buildLauncher(launcher, { node: NODE }) === null) throw new Error('the package has the launcher, and there is no C compiler (Debian: apt-get install gcc libc6-dev musl-tools)');
    tree.copy(launcher, `${HOME}/dist/launcher/valetkey`, 0o755);
  } finally {
    rmSync(launcher, { force: true });
  }
  const { name, version, license, type } = JSON.parse(read('package.json'));
  tree.write(`${HOME}/package.json`, `${JSON.stringify({ name, version, license, type }, null, 2)}\n`);
  for (const file of cliFiles(DIST)) tree.copy(file, `${HOME}/dist/${relative(DIST, file)}`);
  tree.write(`${HOME}/dist/client/main.js`, program(join(DIST, 'client/main.js')), 0o755);
  tree.copyAll(join(DIST, 'daemon'), `${HOME}/dist/daemon`, (file) => /^[^/]+\.cjs$/.test(file));
  tree.write(`${HOME}/dist/daemon/valetkeyd.cjs`, program(join(DIST, 'daemon/valetkeyd.cjs')), 0o755);
  tree.copy(join(ROOT, 'client/python/valetkey.py'), 'usr/share/valetkey/valetkey.py');
  tree.copy(join(ROOT, 'client/shell/valetkey.sh'), 'usr/share/valetkey/valetkey.sh');
  tree.link('../lib/valetkey/dist/launcher/valetkey', 'usr/bin/valetkey');
  tree.link('../lib/valetkey/dist/daemon/valetkeyd.cjs', 'usr/bin/valetkeyd');
}

/** Without what is there for their developers, for musl, and in place of what Debian has: `open` then takes its xdg-open. */
function installPackages(tree) {
  for (const { path } of runtimePackages(DIST)) {
    tree.copyAll(join(ROOT, path), `${HOME}/${path}`, (file) => /(?:^|\/)package\.json$|\.(?:[cm]?js|json|node)$/.test(file) && !/(?:^|\/)(?:test|tests|doc|docs|examples|benchmark|musl_[^/]+|\.[^/]+)\/|^cli\.js$/.test(file));
  }
}

function installDocuments(tree, { version, epoch }) {
  for (const page of readdirSync(join(DIST, 'man'))) tree.zip(`usr/share/man/man${page.at(-1)}/${page}`, readFileSync(join(DIST, 'man', page)));
  const places = { bash: 'bash-completion/completions/valetkey', zsh: 'zsh/vendor-completions/_valetkey', fish: 'fish/vendor_completions.d/valetkey.fish' };
  for (const [shell, place] of Object.entries(places)) tree.write(`usr/share/${place}`, run(execPath, [join(DIST, 'client/main.js'), 'completion', shell]));
  const doc = 'usr/share/doc/valetkey';
  const day = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  tree.zip(`${doc}/changelog`, read('CHANGELOG.md'));
  tree.zip(`${doc}/changelog.Debian`, `valetkey (${version}) unstable; urgency=medium\n\n  * What is new: changelog.gz.\n\n -- ${read('scripts/deb/maintainer').trim()}  ${day}\n`);
  tree.write(`${doc}/copyright`, read('scripts/deb/copyright').replace('@licence@', read('LICENSE').trim().split('\n').slice(2).map((line) => ` ${line === '' ? '.' : line}`).join('\n').replace(/^ \.\n/, '')));
  tree.zip(`${doc}/THIRD-PARTY-LICENSES`, thirdPartyLicences());
  tree.zip(`${doc}/valetkey.cdx.json`, `${JSON.stringify(billOfMaterials(epoch), null, 2)}\n`);
  tree.write(`${doc}/README.md`, read('README.md'));
  tree.write(`${doc}/examples/policy.toml`, read('scripts/deb/policy.toml'));
  tree.write('etc/valetkey/README', read('scripts/deb/etc-readme'));
  tree.write('usr/share/lintian/overrides/valetkey', read('scripts/deb/lintian-overrides'));
}

/** Where systemd looks for units of packages, and, as links, where the CLI looks for what ships with it. */
function installUnits(tree) {
  const units = join(ROOT, 'systemd');
  if (!existsSync(units)) return;
  for (const name of readdirSync(units).filter((each) => /\.(?:service|socket)$/.test(each))) {
    tree.copy(join(units, name), `usr/lib/systemd/user/${name}`);
    tree.link(`../../systemd/user/${name}`, `${HOME}/systemd/${name}`);
  }
}

const walk = (/** @type {string} */ root) => readdirSync(root, { recursive: true }).map(String).toSorted();

/** What dpkg wants to know; the size in KiB as dpkg-gencontrol counts it. */
function controlFiles(tree, root, { version, architecture }) {
  const files = walk(root).filter((path) => lstatSync(join(root, path)).isFile());
  const kib = walk(root).reduce((sum, path) => sum + (lstatSync(join(root, path)).isFile() ? Math.ceil(lstatSync(join(root, path)).size / 1024) : 1), 0);
  const fields = { '@version@': version, '@architecture@': architecture, '@size@': String(kib), '@maintainer@': read('scripts/deb/maintainer').trim() };
  const sums = files.filter((path) => !path.startsWith('etc/')).map((path) => `${createHash('md5').update(readFileSync(join(root, path))).digest('hex')}  ${path}\n`);
  tree.write('DEBIAN/control', Object.entries(fields).reduce((text, [name, value]) => text.replace(name, value), read('scripts/deb/control')));
  tree.write('DEBIAN/conffiles', files.filter((path) => path.startsWith('etc/')).map((path) => `/${path}\n`).join(''));
  tree.write('DEBIAN/md5sums', sums.join(''));
}

/**
 * @param {string} folder where the package is put
 * @returns {string} its file
 */
export function buildDeb(folder) {
  for (const needed of ['client/main.js', 'daemon/valetkeyd.cjs', 'man/valetkey.1']) if (!existsSync(join(DIST, needed))) throw new Error(`dist/${needed} is missing; build it first: npm run build`);
  const epoch = sourceEpoch();
  const { version } = JSON.parse(read('package.json'));
  const architecture = run('dpkg', ['--print-architecture']).trim();
  const root = mkdtempSync(join(tmpdir(), 'valetkey-deb-'));
  try {
    const tree = treeIn(root);
    installPrograms(tree);
    installPackages(tree);
    installUnits(tree);
    installDocuments(tree, { version, epoch });
    controlFiles(tree, root, { version, architecture });
    for (const path of ['.', ...walk(root)]) {
      if (lstatSync(join(root, path)).isDirectory()) chmodSync(join(root, path), 0o755);
      lutimesSync(join(root, path), epoch, epoch);
    }
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `valetkey_${version}_${architecture}.deb`);
    // xz in one thread: how it cuts the work would show in the bytes.
    run('dpkg-deb', ['--root-owner-group', '-Zxz', '--threads-max=1', '--build', root, file], { SOURCE_DATE_EPOCH: String(epoch) });
    return file;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

// usage: node scripts/build-deb.mjs FOLDER
if (argv[1] === fileURLToPath(import.meta.url)) console.log(buildDeb(argv[2] ?? '.'));
