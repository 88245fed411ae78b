/** What tsc does not make: the Node entry in one file, the bundle of the daemon, the launcher, and the manual pages. */
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildDaemon } from './build-daemon.mjs';
import { buildEntry } from './build-entry.mjs';
import { buildLauncher } from './build-launcher.mjs';
import { buildManual } from './build-manual.mjs';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const entry = `${dist}client/valetkey.cjs`;
await buildEntry(entry);
chmodSync(entry, 0o755);
console.log('entry:    dist/client/valetkey.cjs');
const why = await buildDaemon(`${dist}daemon`);
console.log(`daemon:   dist/daemon/valetkeyd.cjs (${why === null ? `compiled ahead for Node ${process.version}` : 'not compiled ahead, as it does not run here'})`);
const how = buildLauncher(`${dist}launcher/valetkey`);
console.log(how === null
  ? 'launcher: none, since there is no C compiler (Debian: apt-get install gcc libc6-dev musl-tools), or this is not Linux; the entry does its work, slower'
  : `launcher: dist/launcher/valetkey (${how})`);
console.log(`manual:   dist/man (${await buildManual(`${dist}man`)} pages)`);
