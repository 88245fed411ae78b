import { describe, expect, it } from 'vitest';
import { METHODS } from '../../../../../shared/methods.ts';
import type { Route } from '../../../../../daemon/ipc/dispatch.ts';
import { readFrame } from '../../../../../daemon/ipc/line/frame.ts';
import { parseBody } from '../../../../../daemon/ipc/parse.ts';

const route = (name: 'token' | 'unlock'): Route => ({ name, method: METHODS[name], handler: () => null, label: name, params: [], queries: [] });
const routes = new Map([['token', route('token')], ['unlock', route('unlock')]]);
const bodyOf = (text: string): unknown => {
  const frame = readFrame(text, routes);
  return frame.kind === 'request' ? frame.asking.body : expect.unreachable(`a ${frame.kind}`);
};

describe('a frame that comes again word for word', () => {
  it('is read once where it asks for a token, and so is its body', () => {
    const text = '{"type":"token","id":1,"data":{"profile":"work"}}';
    const again = `${text} `.trimEnd();
    expect(readFrame(again, routes)).toBe(readFrame(text, routes));
    expect(parseBody(METHODS.token, bodyOf(again))).toBe(parseBody(METHODS.token, bodyOf(text)));
    expect(parseBody(METHODS.token, bodyOf(text))).toEqual({ profile: 'work' });
  });

  it('is never taken for another', () => {
    const names = ['work', 'home', 'work'];
    const read = names.map((profile) => parseBody(METHODS.token, bodyOf(`{"type":"token","id":1,"data":{"profile":"${profile}"}}`)));
    expect(read).toEqual(names.map((profile) => ({ profile })));
    expect(readFrame('{"type":"token","id":2,"data":{"profile":"work"}}', routes)).toMatchObject({ head: { id: 2 } });
    expect(readFrame('{"type":"token","id":2,"data":{"profile":"work"}}', new Map())).toMatchObject({ kind: 'fault' });
  });

  it('is not remembered where it may hold a secret', () => {
    const text = '{"type":"unlock","id":1,"data":{"passphrase":"correct horse EXAMPLE"}}';
    expect(readFrame(text, routes)).not.toBe(readFrame(text, routes));
    const [body, token] = [bodyOf(text), { profile: 'work' }];
    const before = parseBody(METHODS.token, token);
    expect(parseBody(METHODS.unlock, body)).not.toBe(parseBody(METHODS.unlock, body));
    expect(parseBody(METHODS.token, token)).toBe(before); // nothing has taken its place
  });
});
