#!/usr/bin/env node
/**
 * Entry of `valetkey` where there is no launcher: a cached token without loading the CLI, or the CLI. The build
 * makes one CommonJS file of it, since Node's loader of ES modules alone takes as long as all of this.
 */
import { printFastToken } from './fast-token.ts';
import { readPlainArguments } from './plain-arguments.ts';

async function enter(): Promise<void> {
  const wish = readPlainArguments(process.argv.slice(2));
  // Nothing is open that would have to be waited for.
  if (wish !== null && await printFastToken(wish)) process.exit();
  await import('./main.ts');
}

void enter();
