/** `watch`: the live view at a terminal; elsewhere a line an event, and with --json a line of JSON. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toTerminalJsonLine } from '../clean-text.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { hasLeft } from '../daemon-process.ts';
import { Board } from '../watch/board.ts';
import type { Update } from '../watch/board.ts';
import { drawBoard } from '../watch/draw.ts';
import { eventLine } from '../watch/event-words.ts';
import { feed } from '../watch/feed.ts';
import type { LiveScreen } from '../watch/live-screen.ts';

/** Ages and countdowns go on by themselves. */
const TURN_MS = 1_000;
/** However much happens, nobody reads faster. */
const DRAW_PAUSE_MS = 100;

function follow(context: CommandContext, signal: AbortSignal, onUpdate: (update: Update) => void): Promise<void> {
  const { runningDaemon: link, paths } = context;
  return feed({ link, hasLeft: () => hasLeft(paths), sleep: (ms, end) => sleep(ms, undefined, { signal: end }), signal }, onUpdate);
}

/** What is asked for goes to standard output; whether the daemon is there, to standard error. */
async function printEvents(context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  /** What was said last; empty: nothing yet. */
  let lost: string | null = '';
  await follow(context, signal, (update) => {
    if (update.kind === 'event') {
      if (terminal.json) terminal.raw(`${toTerminalJsonLine(update.event)}\n`);
      else terminal.line(eventLine(update.event));
    } else {
      const why = update.kind === 'lost' ? update.why : null;
      if (why !== lost) terminal.note(why === null ? 'Listening.' : `Not listening: ${why}.`);
      lost = why;
    }
  });
}

async function show(context: CommandContext, open: NonNullable<CommandContext['openScreen']>): Promise<void> {
  const { now } = context;
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  const board = new Board();
  let wake: () => void = () => undefined;
  const screen: LiveScreen = open({ onQuit: () => left.abort(), onResize: () => wake() });
  try {
    // A fault of the feed ends the view, and is told when the terminal is as it was.
    const feeding = follow(context, signal, (update) => {
      board.take(update);
      wake();
    }).finally(() => left.abort());
    const drawing = (async () => {
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        screen.draw(drawBoard(board, screen.size(), now()));
        await sleep(DRAW_PAUSE_MS, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
        await Promise.race([changed, sleep(TURN_MS - DRAW_PAUSE_MS, undefined, { signal }).catch(() => undefined)]); // aborted: the loop ends
      }
    })();
    await Promise.all([feeding, drawing]);
  } finally {
    left.abort();
    screen.close();
  }
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', `
At a terminal it is a live view: who is signed in and until when, what waits for your word, who took tokens, what happened.
q or Ctrl-C leaves it. Elsewhere it prints one line an event, and with --json one JSON object a line, until it is ended.
It never starts the daemon: it waits for it, and follows the next one when the daemon restarts.
${examples('valetkey watch', 'valetkey watch | grep refused', 'valetkey watch --json | jq -r .event')}`)
    .action(async () => {
      const { terminal, openScreen } = context;
      if (terminal.json || openScreen === null) await printEvents(context);
      else await show(context, openScreen);
    });
};
