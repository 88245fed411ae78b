#!/usr/bin/env node
/**
 * Entry of `valetkey` where there is no launcher: a cached token, or a word for a prompt, without loading the CLI, or the CLI. The build
 * makes one CommonJS file of it, since Node's loader of ES modules alone takes as long as all of this.
 */
import { printFastToken } from './fast-token.ts';
import { readPlainArguments } from './plain-arguments.ts';
import { printPrompt, readPromptArguments } from './prompt.ts';

async function enter(): Promise<void> {
  const prompt = readPromptArguments(process.argv.slice(2));
  const status = prompt === null ? null : await printPrompt(prompt);
  if (status !== null) process.exit(status);
  const wish = readPlainArguments(process.argv.slice(2));
  const left = wish === null ? null : await printFastToken(wish);
  // Nothing is open that would have to be waited for.
  if (left === 'printed') process.exit();
  const { runWholeCli } = await import('./whole-cli.ts');
  await runWholeCli(left);
}

void enter();
