#!/usr/bin/env node
/** Entry of the whole CLI, which the launcher executes with what it has heard already. */
import { takeHandedAnswer } from './handed-answer.ts';
import { runWholeCli } from './whole-cli.ts';

await runWholeCli(takeHandedAnswer(process.env, process.pid));
