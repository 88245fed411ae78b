import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Connection, NEVER } from '../../../../daemon/ipc/connections.ts';
import type { Speaker } from '../../../../daemon/ipc/connections.ts';
import { Turn } from '../../../../daemon/ipc/turn.ts';
import { someCaller } from '../../../support/builders.ts';

const endOfTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** Each piece of work is a line of what was said in it. */
function setUp() {
  const works: string[][] = [];
  let inside: string[] | null = null;
  const turn = new Turn({
    lookOnce: (work) => {
      inside = [];
      works.push(inside);
      work();
      inside = null;
    },
  });
  const say = (connection: Connection, text: string): void => {
    if (connection.keep(Buffer.from(text))) turn.add(connection);
  };
  const open = (name: string): Connection => {
    const connection = new Connection(new EventEmitter() as Socket, someCaller(), NEVER);
    const speaker: Speaker = { data: (chunk) => { (inside ?? expect.unreachable('outside of a turn')).push(`${name}: ${chunk.toString()}`); }, end: () => undefined, close: () => undefined, rest: () => undefined, late: () => undefined };
    connection.speaker = speaker;
    return connection;
  };
  return { works, say, open };
}

describe('a turn', () => {
  it('takes together, in their order, what all connections said in it', async () => {
    const { works, say, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    say(a, '1');
    say(b, '2');
    expect(works).toEqual([]);
    await endOfTurn();
    say(a, '3');
    await endOfTurn();
    expect(works).toEqual([['a: 1', 'b: 2'], ['a: 3']]);
  });

  it('loses nothing of a connection that said more than one thing', async () => {
    const { works, say, open } = setUp();
    const a = open('a');
    for (const chunk of ['1', '2', '3']) say(a, chunk);
    await endOfTurn();
    expect(works).toEqual([['a: 123']]);
  });

  it('asks nothing of a connection that has left, and nothing twice', async () => {
    const { works, say, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    say(a, '1');
    say(b, '2');
    a.leave();
    await endOfTurn();
    await endOfTurn();
    expect(works).toEqual([['b: 2']]);
  });
});
