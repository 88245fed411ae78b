import { describe, expect, it } from 'vitest';
import { answeredOnce, takeHandedAnswer } from '../../../client/handed-answer.ts';
import type { HandedAnswer } from '../../../client/handed-answer.ts';
import type { TokenReply } from '../../../shared/schemas.ts';

const reply: TokenReply = { profile: 'work', access_token: 'at-EXAMPLE', token_type: 'Bearer', expires_at: 1_790_000_000, scope: '', resource: null, source: 'cache', granted_beyond: [] };
const frame = (data: object, status = 200) => JSON.stringify({ type: 'token', id: 1, status, protocol: 1, build: '0.1.0', data });

function rig(line: Promise<string | null>, timeoutMs?: number) {
  const seen = { asked: 0, closed: 0 };
  const handed: HandedAnswer = { line, close: () => { seen.closed += 1; } };
  const ask = async () => {
    seen.asked += 1;
    return { ...reply, access_token: 'asked-EXAMPLE' };
  };
  return { seen, token: answeredOnce(handed, ask, timeoutMs) };
}
const request = { profile: 'work', interaction: 'never' as const };

describe('an answer that was handed over', () => {
  it('answers the first request, and no other', async () => {
    const { seen, token } = rig(Promise.resolve(frame(reply)));
    expect(await token(request)).toMatchObject({ access_token: 'at-EXAMPLE' });
    expect(seen).toEqual({ asked: 0, closed: 1 });
    expect(await token(request)).toMatchObject({ access_token: 'asked-EXAMPLE' });
  });

  it.each<readonly [string, string | null]>([
    ['no line', null], ['no JSON', 'x'], ['a problem that is none', frame({ code: 'internal' }, 500)], ['a token for another profile', frame({ ...reply, profile: 'other' })], ['a token with the status of a problem', frame(reply, 503)],
  ])('is dropped where it is %s', async (_, line) => {
    const { seen, token } = rig(Promise.resolve(line));
    expect(await token(request)).toMatchObject({ access_token: 'asked-EXAMPLE' });
    expect(seen).toEqual({ asked: 1, closed: 1 });
  });

  it('that never comes ends at the deadline of the request, and nobody is asked again', async () => {
    const { seen, token } = rig(new Promise(() => undefined), 5);
    await expect(token(request)).rejects.toMatchObject({ code: 'deadline_exceeded', detail: 'the daemon did not answer within 40 s' });
    expect(seen).toEqual({ asked: 0, closed: 1 });
  });

  it('is not waited for once its caller has left', async () => {
    const { seen, token } = rig(new Promise(() => undefined));
    const leaving = new AbortController();
    const waiting = token(request, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(rig(new Promise(() => undefined)).token(request, leaving.signal)).rejects.toThrow('gone');
    expect(seen).toEqual({ asked: 0, closed: 1 });
  });

  it('is not for a process that only inherited the variable, and the variable goes no further', () => {
    const env = { VALETKEY_ANSWER: '1:3', OTHER: 'x' };
    expect(takeHandedAnswer(env, 2)).toBeNull();
    expect(env).toEqual({ OTHER: 'x' });
  });
});
