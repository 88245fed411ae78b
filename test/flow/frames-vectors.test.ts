/** Replays test/vectors/*.json against the daemon: what a stranger's client sends and has to read, byte by byte. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';

type Part = string | { readonly times: number; readonly text: string } | { readonly hex: string };
type Exchange = { readonly send: readonly Part[]; readonly receive: readonly Part[] };
type Vector = Exchange & { readonly title: string; readonly after?: Exchange; readonly closes: boolean; readonly half_close?: boolean };

const DIR = fileURLToPath(new URL('../vectors/', import.meta.url));
const FILES = readdirSync(DIR).filter((name) => name.endsWith('.json'));

let issuer: EmbeddedIssuer;
let vk: InProcess;
beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({ config: `[limits]\nrequests_per_second = 10000\nburst = 10000\n${profileToml('work', issuer.url)}${profileToml('nobody', issuer.url)}` });
  await vk.signIn('work', 'ada');
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

const textOf = (part: Part): string => (typeof part === 'string' ? part : 'hex' in part ? '' : part.text.repeat(part.times));
const bytesOf = (parts: readonly Part[]): Buffer => Buffer.concat(parts.map((part) => (typeof part !== 'string' && 'hex' in part ? Buffer.from(part.hex, 'hex') : Buffer.from(textOf(part)))));

const STANDS_FOR: Readonly<Record<string, string>> = { text: '[^"\\n\\f]*', number: '\\d+', build: BUILD_VERSION.replaceAll('.', '\\.'), json: '[^\\n\\f]*' };
const patternOf = (parts: readonly Part[]): RegExp => new RegExp(`^${parts.map(textOf).join('').replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&').replaceAll(/<(text|number|build|json)>/g, (_, name: string) => STANDS_FOR[name] ?? '')}$`);

/** That tokens of earlier vectors were released is told together, when it is: no vector is about that. */
const ownWords = (text: string): string => text.replaceAll(/\{"type":"events"[^\n]*"event":"token_released"[^\n]*\n/g, '');

describe.each(FILES)('test/vectors/%s', (file) => {
  const vectors = JSON.parse(readFileSync(DIR + file, 'utf8')) as readonly Vector[];

  /** On a connection of its own, of which the exchange before is over. */
  async function open({ after }: Vector): Promise<{ client: LineClient; since: () => string }> {
    const client = new LineClient(vk.socket);
    if (after === undefined) return { client, since: () => ownWords(client.text) };
    client.send(bytesOf(after.send));
    await expect.poll(() => client.text, { interval: 10 }).toMatch(patternOf(after.receive));
    const from = client.text.length;
    return { client, since: () => ownWords(client.text.slice(from)) };
  }

  it.each(vectors.map((vector) => [vector.title, vector] as const))('[IP-11] %s', async (_, vector) => {
    const { client, since } = await open(vector);
    const pattern = patternOf(vector.receive);
    client.send(bytesOf(vector.send));
    if (vector.half_close === true) client.socket.end();
    try {
      await expect.poll(since, { interval: 10 }).toMatch(pattern);
      if (vector.closes) await client.closed(2_000);
      else await sleep(20); // nothing more may come
      expect(since()).toMatch(pattern);
      expect(client.hasEnded).toBe(vector.closes);
    } finally {
      client.leave();
    }
  });

  it.each(vectors.filter(({ half_close: halfCloses }) => halfCloses !== true).map((vector) => [vector.title, vector] as const))('[IP-11] cut into pieces: %s', async (_, vector) => {
    const { client, since } = await open(vector);
    const bytes = bytesOf(vector.send);
    const step = Math.max(1, Math.ceil(bytes.length / 200));
    for (let at = 0; at < bytes.length; at += step) {
      client.send(bytes.subarray(at, at + step));
      await sleep(0);
    }
    await expect.poll(since, { interval: 10 }).toMatch(patternOf(vector.receive));
    client.leave();
  });
});
