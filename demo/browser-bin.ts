/**
 * The scripted browser as a command, for `browser = [...]` of a profile:
 * node browser-bin.js URL [--login NAME] [--deny]
 */
import { parseArgs } from 'node:util';
import { followLogin } from './browser.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { login: { type: 'string', default: 'ada' }, deny: { type: 'boolean', default: false } },
});
const [url] = positionals;
if (url === undefined || positionals.length !== 1) {
  process.stderr.write('usage: browser-bin URL [--login NAME] [--deny]\n');
  process.exit(2);
}
const { status } = await followLogin(url, values);
process.exitCode = status < 400 ? 0 : 1;
