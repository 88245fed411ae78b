/** As much of SMTP over TLS (RFC 8314) as one message needs, by XOAUTH2 or OAUTHBEARER (RFC 7628), for whoever brings a token that is good. */
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { CERTIFICATE, PRIVATE_KEY } from './loopback-tls.ts';

export type MailServer = {
  readonly port: number;
  /** Mechanism and user of each sign-in that was tried. */
  readonly seen: readonly string[];
  /** How many messages came. */
  taken(): number;
  close(): Promise<void>;
};

export async function startMailServer(isGood: (token: string) => Promise<boolean>): Promise<MailServer> {
  const seen: string[] = [];
  let messages = 0;
  const open = new Set<TLSSocket>();

  async function signIn(mechanism: string, said: string): Promise<string> {
    const text = Buffer.from(said, 'base64').toString();
    seen.push(`${mechanism} ${/(?:user|a)=([^\u0001,]+)/.exec(text)?.[1] ?? ''}`);
    return await isGood(/auth=Bearer ([^\u0001]+)/.exec(text)?.[1] ?? '') ? '235 welcome' : '535 no';
  }
  async function answer(line: string): Promise<string> {
    const [verb = '', mechanism = '', initial = ''] = line.split(' ');
    switch (verb.toUpperCase()) {
      case 'EHLO': return '250-mail.example.com\r\n250 AUTH XOAUTH2 OAUTHBEARER';
      case 'AUTH': return initial === '' ? '334 ' : signIn(mechanism, initial);
      case 'DATA': return '354 go on';
      case 'QUIT': return '221 bye';
      default: return '250 fine';
    }
  }
  async function serve(socket: TLSSocket): Promise<void> {
    let [rest, inMessage] = ['', false];
    let mechanism: string | null = null;
    socket.write('220 mail.example.com\r\n');
    for await (const part of socket.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = `${rest}${part}`.split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (inMessage && line !== '.') continue;
        if (inMessage) messages += 1;
        inMessage = !inMessage && line === 'DATA';
        socket.write(`${await (mechanism === null ? answer(line) : signIn(mechanism, line))}\r\n`);
        mechanism = /^AUTH (\S+)$/.exec(line)?.[1] ?? null;
        if (line === 'QUIT') socket.end();
      }
    }
  }
  const server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (socket) => {
    open.add(socket.on('error', () => undefined).on('close', () => open.delete(socket)));
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port, seen, taken: () => messages,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
    }),
  };
}
