/**
 * Folders that are copied to other machines or kept in a repository (ST-04). By the name of a folder above, or by the
 * mark that the program leaves in it. A copy of the sealed grants is an old generation elsewhere: used, it signs the
 * person out here. Whoever can change a copy of the configuration chooses the issuers.
 */
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { ok, warning, word } from './finding.ts';
import type { Finding } from './finding.ts';
import { inPlaceOf } from './places.ts';

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^Dropbox(?: \(.*\))?$/i, 'Dropbox'], [/^OneDrive(?: - .*)?$/i, 'OneDrive'], [/^(?:iCloud Drive|Mobile Documents|iCloudDrive)$/i, 'iCloud'],
  [/^CloudStorage$/, 'cloud storage'], [/^Google ?Drive$/i, 'Google Drive'], [/^Nextcloud$/i, 'Nextcloud'], [/^ownCloud$/i, 'ownCloud'],
  [/^Syncthing$/i, 'Syncthing'], [/^Sync$/, 'Syncthing'], [/^pCloudDrive$/i, 'pCloud'], [/^MEGA$/, 'MEGA'], [/^Seafile$/i, 'Seafile'],
];
const MARKS: readonly (readonly [string, string])[] = [
  ['.stfolder', 'Syncthing'], ['.dropbox', 'Dropbox'], ['.dropbox.cache', 'Dropbox'], ['.nextcloudsync.log', 'Nextcloud'], ['.owncloudsync.log', 'ownCloud'],
];

/** `link`: a link of this name leads there, from the place where it belongs. */
export type Synced = { readonly what: 'state' | 'config'; readonly path: string; readonly by: string; readonly root: string; readonly link: string | null };

/** Behind links; the path itself where nothing is there yet. */
function realOf(path: string): string {
  for (let [above, below] = [path, '']; ; [above, below] = [dirname(above), join(basename(above), below)]) {
    if (existsSync(above)) return join(realpathSync(above), below).replace(/\/$/, '');
    if (dirname(above) === above) return path;
  }
}

/** Null: nothing tells of a copy. */
export function findSync(what: Synced['what'], path: string): Synced | null {
  const real = realOf(path);
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? path : null;
  for (let folder = real; dirname(folder) !== folder; folder = dirname(folder)) {
    const by = NAMES.find(([name]) => name.test(basename(folder)))?.[1] ?? MARKS.find(([mark]) => existsSync(join(folder, mark)))?.[1];
    if (by !== undefined) return { what, path: real, by, root: folder, link };
    if (existsSync(join(folder, '.git')) && !isIgnored(folder, real)) return { what, path: real, by: 'a git repository', root: folder, link };
  }
  return null;
}

/** By a line for this folder or one above it, or for everything. Git itself is not run: a repository may name programs. */
function isIgnored(root: string, path: string): boolean {
  const below = relative(root, path);
  return ['.gitignore', '.git/info/exclude'].flatMap((file) => linesOf(join(root, file))).some((line) => {
    const pattern = line.replace(/^\/|\/\*{0,2}$/g, '');
    return ['*', '**', '/*'].includes(line) || (pattern !== '' && (below === pattern || below.startsWith(`${pattern}/`)));
  });
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').map((line) => line.trim());
  } catch {
    return []; // a file that cannot be read keeps nothing out of the repository
  }
}

const WHY = {
  state: 'Sealed grants must not travel: an old copy that comes back costs a sign-in',
  config: 'Whoever can change a copy of it chooses the issuers',
} as const;
const HOMES = { state: 'export XDG_STATE_HOME=$HOME/.local/state', config: 'export XDG_CONFIG_HOME=$HOME/.config' } as const;

export function checkSynced(found: readonly Synced[]): readonly Finding[] {
  if (found.length === 0) return [ok('synced_folder', 'state and configuration are in no synced folder and no repository')];
  return found.map(({ what, path, by, root, link }) => warning(
    'synced_folder', `${path} is copied by ${by} (${root})`, WHY[what],
    by === 'a git repository' ? `echo ${word(`/${relative(root, path)}/`)} >> ${word(join(root, '.gitignore'))}` : (link === null ? HOMES[what] : inPlaceOf(link)),
  ));
}
