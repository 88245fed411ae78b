import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { chmodSync, existsSync, linkSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../daemon/core/errors.ts';
import type { LogFields } from '../../../daemon/core/ports.ts';
import { Secret } from '../../../daemon/core/secret.ts';
import { createLog } from '../../../daemon/log.ts';
import type { LogOptions } from '../../../daemon/log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-log-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json', file: null, stderr: { write: (text) => lines.push(text) }, ...options });
  return { log, lines, text: () => lines.join(''), last: (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? 'null') };
}

/** Both formats, every way in: event, field name, value, array, message and name of an error and its causes. */
function everyWay(text: string): string {
  return (['json', 'text'] as const).map((format) => {
    const { log, text: written } = capture({ format });
    log.info(text);
    log.info('field', { why: text, [text]: 'x', list: [text, text] });
    const inner = new Error(text);
    inner.name = text;
    log.error('cause', { why: text }, new AggregateError([inner], text, { cause: new BrokerError('internal', text, { cause: text }) }));
    return written();
  }).join('');
}

describe('text of strangers', () => {
  const PAYLOADS: readonly (readonly [string, string])[] = [
    ['a colour', 'a\u001b[31mred\u001b[0m'],
    ['a cleared screen', 'a\u001b[2J\u001b[H'],
    ['a window title', 'a\u001b]0;owned\u0007'],
    ['a lone escape', 'a\u001b'],
    ['a C1 control sequence', 'a\u009b31mred'],
    ['a C1 operating system command', 'a\u009d0;owned\u009c'],
    ['a forged line', 'a\r\n{"level":"info","event":"token_released"}'],
    ['a line feed', 'a\nb'],
    ['a line separator', 'a\u2028b\u2029c'],
    ['a next-line control', 'a\u0085b'],
    ['a right-to-left override', 'a\u202egnp.exe'],
    ['direction isolates', 'a\u2066b\u2069c\u200f'],
    ['zero-width marks', 'a\u200bb\ufeffc'],
    ['tag characters', 'a\u{e0041}\u{e0042}'],
    ['a backspace and a NUL', 'a\b\b\u0000b'],
  ];
  // oxlint-disable-next-line no-control-regex -- naming control characters is the purpose of this line
  const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/u;

  it.each(PAYLOADS)('[AL-04] strips %s from every place that it could come by', (_, payload) => {
    const written = everyWay(payload);
    expect(written).not.toMatch(UNSAFE);
    // JSON would hide a control character as an escape, and whoever reads it would bring it back.
    expect(written).not.toMatch(/\\u[0-9a-f]{4}|\\[rnbf]/);
    expect(written.split('\n').filter((line) => line !== '')).toHaveLength(6);
  });

  it('[AL-04] strips whatever text there is', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (payload) => {
      const written = everyWay(payload);
      return !UNSAFE.test(written) && written.split('\n').length === 7;
    }));
  });
});

describe('secrets', () => {
  const JWT = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${'s1GnAtUrE'.repeat(9)}EXAMPLE`;
  const OPAQUE = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
  const SECRETS: readonly (readonly [string, string])[] = [
    ['a JWT', JWT],
    ['a JWE', `eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..iv12345678.${'C1pherText'.repeat(6)}.tagEXAMPLE`],
    ['an unsigned JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.'],
    ['an opaque token, verifier or state', OPAQUE],
    ['a hexadecimal token', 'de6780bc506a0446309bd9362820ba8aed28aa506c71eedbe1c5c4f9dd350e54'],
    ['a GitHub token', 'gho_16C7e42F292c6912E7710cEXAMPLE'],
    ['a GitLab token', 'glpat-x1y2z3EXAMPLE4567'],
    ['a Google token', 'ya29.a0AfB_byC1EXAMPLE'],
    ['a Google refresh token', '1//0gEXAMPLEabcdefghij'],
  ];

  it.each(SECRETS)('[AL-03] hides %s in a value, an array, a message, a name and a cause', (_, secret) => {
    for (const text of [secret, `got ${secret} back`, `"${secret}"`, `\u001b[1m${secret}`, `${secret.slice(0, 30)}\u001b[0m${secret.slice(30)}`, `${'x '.repeat(230)}${secret}`]) {
      expect(everyWay(text)).not.toContain(secret.slice(0, 24));
    }
  });

  it.each([
    ['an authorization code in a URL', 'http://127.0.0.1:4711/cb?state=word&code=Splx', ['=word', 'Splx']],
    ['a header', 'Authorization: Bearer abcd1234efgh', ['abcd1234']],
    ['a proof', 'sent DPoP abcd1234efgh', ['abcd1234']],
    ['a form', 'grant_type=refresh_token&refresh_token=short1&client_secret=s3cret', ['short1', 's3cret']],
    ['JSON', '{"access_token":"short1","device_code": "short2"}', ['short1', 'short2']],
    ['a user code', 'go to the page, user_code=WDJB-MJHT', ['WDJB']],
  ])('[AL-03] hides %s by the name that stands before it', (_, text, hidden) => {
    const written = everyWay(text);
    for (const secret of hidden) expect(written).not.toContain(secret);
  });

  it('[AL-03] never shows a Secret, nor what is named as one, nor an object', () => {
    const { log, text, last } = capture();
    const bad: Record<string, unknown> = {
      token: new Secret('short-EXAMPLE'), deep: { access_token: 'short-EXAMPLE' }, list: [{ t: 'short-EXAMPLE' }, new Secret('short-EXAMPLE')],
      user_code: 'short-EXAMPLE', state: 'short-EXAMPLE', buffer: Buffer.from('short-EXAMPLE'), call: () => 'short-EXAMPLE', device_code: 123456,
    };
    log.info('x', bad as LogFields);
    expect(last()).toMatchObject({ token: '[secret]', deep: '[omitted]', user_code: '[secret]', state: '[secret]', buffer: '[omitted]', device_code: '[secret]' });
    log.error('x', {}, Object.assign(new Error('failed'), { body: 'short-EXAMPLE', response: { token: 'short-EXAMPLE' } }));
    expect(text()).not.toContain('short-EXAMPLE');
    expect(text()).not.toContain('123456');
    expect(text()).not.toContain('log.test.ts');
  });

  it('[AL-03] hides a random secret of any length from 32 bytes on, wherever it is put', () => {
    const secret = fc.uint8Array({ minLength: 32, maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
    fc.assert(fc.property(secret, fc.string({ maxLength: 20 }), fc.string({ maxLength: 600 }), (token, before, after) => {
      // Only what a random generator makes: fast-check likes 32 zero bytes, which no token ever is.
      fc.pre(/[a-z]/.test(token) && /[A-Z]/.test(token) && /[0-9]/.test(token));
      return !everyWay(`${before} ${token} ${after}`).includes(token.slice(0, 40));
    }));
  });

  it('leaves words, ids, digests and addresses readable', () => {
    const fields = {
      code: 'vault_locked', token: 'refresh_token', state: 'active', why: 'connect ECONNREFUSED 127.0.0.1:443', request: 'abcDEF123_-abcDEF123_x',
      socket: '/run/user/1000/valetkey/socket', digest: 'de6780bc506a0446309bd9362820ba8aed28aa506c71eedbe1c5c4f9dd350e54',
      url: 'https://issuer.example.com/oauth2/v1/token', id: '0b1f6c1e-8a55-4f0c-9a7e-1c2d3e4f5a6b', status: 503, list: ['a', 'b'], none: null, ok: true,
    };
    const { log, last } = capture();
    log.info('x', fields);
    expect(last()).toMatchObject(fields);
  });
});

describe('lines', () => {
  it('writes one JSON object an event, whose own keys no field can forge', () => {
    const { log, last, lines } = capture();
    log.warn('grant_parked', { profile: 'work', level: 'fatal', time: 'never', event: 'other', headers: 'x' });
    expect(last()).toEqual({ level: 'warn', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), event: 'grant_parked', profile: 'work', level_: 'fatal', time_: 'never', event_: 'other', headers_: 'x' });
    expect(lines).toHaveLength(1);
  });

  it('writes one readable line an event in text', () => {
    const { log, lines } = capture({ format: 'text' });
    log.info('token_refreshed', { profile: 'work', why: 'two words', generation: 3 });
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}token_refreshed profile=work why="two words" generation=3\n$/);
  });

  it('says the chain of causes by name, code and message', () => {
    const { log, last } = capture();
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    log.error('x', {}, new BrokerError('issuer_unreachable', 'the issuer is away', { cause: new TypeError('fetch failed', { cause: refused }) }));
    expect(last()['cause']).toEqual([
      'BrokerError issuer_unreachable: the issuer is away', 'TypeError: fetch failed', 'Error ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:1',
    ]);
  });

  it('ends with a chain that bites its tail, or that is endless', () => {
    const { log, last } = capture();
    const loop: Error & { cause?: unknown } = new Error('loop');
    loop.cause = loop;
    log.error('x', {}, loop);
    expect(last()['cause']).toEqual(['Error: loop']);
    let long = new Error('0');
    for (let i = 1; i < 100; i += 1) long = new Error(String(i), { cause: long });
    log.error('x', {}, long);
    expect(last()['cause']).toHaveLength(8);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = capture({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['c', 'd']);
  });

  it('goes on when a line cannot be written, and counts what was lost', () => {
    const written: string[] = [];
    let full = true;
    const { log } = capture({ stderr: { write: (text) => { if (full) throw new Error('ENOSPC'); return written.push(text); } } });
    log.info('a');
    log.info('b');
    full = false;
    log.info('c');
    log.info('d');
    expect(written.map((line) => JSON.parse(line))).toMatchObject([{ event: 'c', lines_lost: 2 }, { event: 'd' }]);
    expect(written[1]).not.toContain('lines_lost');
  });
});

describe('a stream whose reader', () => {
  const linesOf = async (stream: Readable): Promise<readonly Record<string, unknown>[]> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString().trim().split('\n').map((line) => JSON.parse(line));
  };

  it('left does not end the process, and what is lost is counted when the stream writes again', async () => {
    // As process.stderr: each write tells of its failure later, by both ways, and the stream outlives it.
    class Pipe extends EventEmitter {
      isBroken = true;
      written: string[] = [];
      write(text: string, done?: (error?: Error | null) => void): void {
        const error = this.isBroken ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null;
        if (error === null) this.written.push(text);
        setImmediate(() => {
          done?.(error);
          if (error !== null) this.emit('error', error);
        });
      }
    }
    const stderr = new Pipe();
    const { log } = capture({ stderr });
    const turn = () => new Promise((resolve) => { setTimeout(resolve, 5); });
    log.info('a');
    log.info('b');
    await turn();
    log.info('c'); // would have counted the two, and is lost with them
    await turn();
    stderr.isBroken = false;
    log.info('d');
    log.info('e');
    expect(stderr.written.map((line) => JSON.parse(line))).toMatchObject([{ event: 'd', lines_lost: 3 }, { event: 'e' }]);
    expect(stderr.written[1]).not.toContain('lines_lost');
  });

  it('does not read costs a megabyte at most', async () => {
    const stderr = new PassThrough({ highWaterMark: 1 });
    const { log } = capture({ stderr });
    for (let i = 0; i < 20_000; i += 1) log.info('x', { why: 'word '.repeat(50) });
    expect(stderr.writableLength).toBeLessThan(1_100_000);
    const reading = linesOf(stderr);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    log.info('again');
    stderr.end();
    const lines = await reading;
    expect(lines.at(-1)).toMatchObject({ event: 'again', lines_lost: 20_001 - lines.length });
  });
});

it('takes another level while it runs', () => {
  const { log, lines } = capture({ level: 'warn' });
  log.info('a');
  log.setLevel('info');
  log.info('b');
  log.debug('c');
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(['b']);
});

describe('the file', () => {
  const inFile = (file: string) => capture({ file }).log;
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

  it('is made with mode 0600 whatever the umask, and appended to', () => {
    const file = join(dir, 'log');
    const old = process.umask(0);
    try {
      inFile(file).info('a');
    } finally {
      process.umask(old);
    }
    inFile(file).info('b');
    expect(mode(file)).toBe('600');
    expect(readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line).event)).toEqual(['a', 'b']);
  });

  it('is made private again if it was open', () => {
    const file = join(dir, 'log');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    inFile(file);
    expect(mode(file)).toBe('600');
  });

  it('is never written through a link, a second name, a FIFO or a directory', () => {
    const target = join(dir, 'target');
    writeFileSync(target, 'untouched');
    symlinkSync(target, join(dir, 'link'));
    symlinkSync(join(dir, 'absent'), join(dir, 'dangling'));
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    const second = join(dir, 'second');
    writeFileSync(second, '');
    linkSync(second, join(dir, 'name'));
    for (const name of ['link', 'dangling', 'fifo', 'name', '.']) {
      expect(() => inFile(join(dir, name)), name).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(dir) }));
    }
    expect(readFileSync(target, 'utf8')).toBe('untouched');
    expect(existsSync(join(dir, 'absent'))).toBe(false);
  });

  it('goes on in a new file after it was moved away', () => {
    const file = join(dir, 'log');
    const log = inFile(file);
    log.info('a');
    renameSync(file, `${file}.1`);
    log.info('b');
    log.reopen();
    log.info('c');
    log.flush();
    expect(readFileSync(`${file}.1`, 'utf8')).toMatch(/"a"[^]*"b"/);
    expect(readFileSync(file, 'utf8')).toMatch(/"c"/);
  });

  it('goes on in the old one where the new one would be no private file', () => {
    const file = join(dir, 'log');
    const log = inFile(file);
    renameSync(file, `${file}.1`);
    writeFileSync(join(dir, 'target'), '');
    symlinkSync(join(dir, 'target'), file);
    log.reopen();
    log.info('a');
    expect(readFileSync(`${file}.1`, 'utf8')).toMatch(/"cause":\["BrokerError config_invalid: log file [^"]* is a symbolic link"[^]*"log_not_reopened"[^]*"a"/);
    expect(readFileSync(join(dir, 'target'), 'utf8')).toBe('');
  });
});
