/**
 * Makes the Node entry of `valetkey`: client/entry.ts and what it needs in one CommonJS file. It holds our own
 * sources only, readable and with their comments; the rest of the CLI stays beside it as tsc made it, since one
 * file of that saves no more than a tenth of a command's time.
 */
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const WHOLE = /\/client\/whole-cli\.ts$/;

/** @param {string} file - the program to write */
export async function buildEntry(file) {
  const bundle = await rolldown({
    input: fileURLToPath(new URL('../client/entry.ts', import.meta.url)),
    platform: 'node',
    external: WHOLE,
    // A package would have to come with its licence.
    plugins: [{ name: 'own-sources-only', resolveId: (id) => { if (!/^(?:node:|[./])/.test(id)) throw new Error(`the entry imports ${id}`); } }],
  });
  await bundle.write({ file, format: 'cjs', paths: (id) => (WHOLE.test(id) ? './whole-cli.js' : id) });
  await bundle.close();
}

// usage: node scripts/build-entry.mjs FILE
if (argv[1] === fileURLToPath(import.meta.url)) await buildEntry(argv[2] ?? '');
