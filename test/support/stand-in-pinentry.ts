/**
 * A pinentry that does as it is told, for the contract of the protocol: it answers as the real ones do, or badly. What
 * it was sent is kept in a file, with its environment.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Manner =
  | 'allow' | 'refuse' | 'close' | 'time out' | 'give the pin' | 'give no pin'
  | 'no greeting' | 'die at once' | 'die at the question' | 'hang' | 'flood' | 'one endless line' | 'garbage' | 'talk ahead' | 'inquire' | 'refuse the text' | 'unknown titles' | 'unknown error' | 'bytes for a yes' | 'half a pin' | 'asides';

/** The codes are those of pinentry 1.2.1: source 5, and the code of gpg-error.h. */
const SOURCE = `
const { appendFileSync, writeFileSync } = require('node:fs');
const manner = MANNER, file = FILE;
writeFileSync(file, JSON.stringify({ env: process.env, argv: process.argv.slice(2), cwd: process.cwd(), pid: process.pid }) + '\\n');
const say = (text) => process.stdout.write(text);
const question = () => {
  switch (manner) {
    case 'allow': case 'unknown titles': case 'asides': return say((manner === 'asides' ? 'S BUTTON_INFO close\\n# hello\\n' : '') + 'OK\\n');
    case 'refuse': return say('ERR 83886194 Not confirmed <Pinentry>\\n');
    case 'close': return say('S BUTTON_INFO close\\nERR 83886179 Operation cancelled <Pinentry>\\n');
    case 'time out': return say('ERR 83886142 Timeout <Pinentry>\\n');
    case 'give the pin': return say('D 12%2534%0A56\\xc3\\xbc'.replace('\\xc3\\xbc', Buffer.from([0xc3, 0xbc]).toString('utf8')) + '\\nOK\\n');
    case 'give no pin': return say('OK\\n');
    case 'half a pin': return say('D 1234\\n');
    case 'die at the question': return process.exit(0);
    case 'hang': return undefined;
    case 'flood': { const more = () => { while (process.stdout.write('# nothing\\n'.repeat(1000))); }; process.stdout.on('drain', more); return more(); }
    case 'one endless line': return say('#'.repeat(5000));
    case 'garbage': return say('YES\\n');
    case 'inquire': return say('INQUIRE QUALITY 4\\n');
    case 'unknown error': return say('ERR 83918950 Inappropriate ioctl for device <Pinentry>\\n');
    case 'bytes for a yes': return say('D yes\\nOK\\n');
  }
};
if (manner === 'die at once') process.exit(3);
if (manner !== 'no greeting') say('OK Pleased to meet you\\n');
if (manner === 'talk ahead') say('OK\\n'.repeat(20));
let rest = '';
process.stdin.on('data', (chunk) => {
  rest += chunk;
  const lines = rest.split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    appendFileSync(file, line + '\\n');
    const [command] = line.split(' ');
    if (command === 'CONFIRM' || command === 'GETPIN') question();
    else if (manner === 'refuse the text' && command === 'SETDESC') say('ERR 83886355 Unknown IPC command <Pinentry>\\n');
    else if (manner === 'unknown titles' && (command === 'SETTITLE' || command === 'SETTIMEOUT')) say('ERR 83886355 Unknown IPC command <Pinentry>\\n');
    else if (manner !== 'no greeting' && manner !== 'talk ahead') say('OK\\n');
  }
});
if (manner !== 'hang') process.stdin.on('end', () => process.exit(0));
else setInterval(() => undefined, 1000);
`;

/** @returns the program */
export function writeStandIn(dir: string, manner: Manner, name = 'pinentry-qt'): { readonly program: string; readonly said: string } {
  const program = join(dir, name);
  const said = join(dir, `${name}.said`);
  writeFileSync(program, `#!${process.execPath}\n${SOURCE.replace('MANNER', JSON.stringify(manner)).replace('FILE', JSON.stringify(said))}`);
  chmodSync(program, 0o755);
  return { program, said };
}
