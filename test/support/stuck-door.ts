/**
 * A TCP port before a server, in a process of its own with a queue of one: when it is stopped and its queue is
 * full, a connection is not even opened, as with a server whose accept() hangs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

const PROGRAM = `
const { createServer, connect } = require('node:net');
const server = createServer((near) => {
  const far = connect(Number(process.argv[1]), '127.0.0.1');
  near.pipe(far).pipe(near);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));
process.stdin.on('close', () => process.exit()).resume();
`;
/** The queue takes one more than it was told. */
const QUEUE = 4;

export type StuckDoor = { readonly origin: string; stick(): Promise<void>; open(): void; leave(): Promise<void> };

export async function startDoor(behind: string): Promise<StuckDoor> {
  const child = spawn(process.execPath, ['-e', PROGRAM, new URL(behind).port], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: child.stdout }), 'line') as [string];
  const port = Number(line);
  const waiting: Socket[] = [];
  const open = (): void => {
    child.kill('SIGCONT');
    for (const each of waiting.splice(0)) each.destroy();
  };
  return {
    origin: `http://127.0.0.1:${port}`,
    async stick() {
      child.kill('SIGSTOP');
      for (let i = 0; i < QUEUE; i += 1) {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined); // it is never taken
        waiting.push(socket);
        await Promise.race([once(socket, 'connect'), new Promise((resolve) => { setTimeout(resolve, 100); })]);
      }
    },
    open,
    async leave() {
      open();
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
