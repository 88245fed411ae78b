/** The smallest client of the line dialect: sends bytes as they are, and keeps what comes. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { expect, vi } from 'vitest';

// oxlint-disable-next-line no-explicit-any -- a test reads whatever it expects of a reply
export type Reply = Readonly<Record<string, any>>;

export class LineClient {
  readonly socket: Socket;
  text = '';
  isClosed = false;
  hasEnded = false;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => { this.text += chunk.toString('utf8'); });
    this.socket.on('end', () => { this.hasEnded = true; this.socket.end(); });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => { this.isClosed = true; });
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  ask(message: unknown, terminator = '\n'): this {
    return this.send(JSON.stringify(message) + terminator);
  }

  /** All whole frames so far. */
  replies(terminator = '\n'): Reply[] {
    return this.text.split(terminator).slice(0, -1).map((text) => JSON.parse(text) as Reply);
  }

  /** Waits until so many frames have come, and gives them. */
  async wait(count: number, { terminator = '\n', timeoutMs = 8_000 } = {}): Promise<Reply[]> {
    // expect.poll() would ask whose test this is, and several may run at once.
    await vi.waitFor(() => expect(this.replies(terminator).length).toBeGreaterThanOrEqual(count), { timeout: timeoutMs, interval: 5 });
    return this.replies(terminator);
  }

  /** Waits until the daemon has closed, and gives all that came. */
  async closed(timeoutMs = 8_000): Promise<string> {
    await vi.waitFor(() => expect(this.hasEnded || this.isClosed).toBe(true), { timeout: timeoutMs, interval: 5 });
    return this.text;
  }

  leave(): void {
    this.socket.destroy();
  }
}
