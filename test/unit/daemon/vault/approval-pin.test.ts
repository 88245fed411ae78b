import { beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../daemon/core/secret.ts';
import { ApprovalPins } from '../../../../daemon/vault/approval-pin.ts';
import type { PinRecord } from '../../../../daemon/vault/approval-pin.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const pin = (text: string): Secret => new Secret(text);

let clock: FakeClock;
let record: PinRecord | null;
let saved: (PinRecord | null)[];
let pins: ApprovalPins;

const open = (): ApprovalPins => new ApprovalPins(() => clock.now(), async () => ({
  read: async () => record,
  write: async (next) => {
    saved.push(next);
    record = next;
  },
}));

beforeEach(async () => {
  [clock, record, saved] = [new FakeClock(), null, []];
  pins = open();
});

const codeOf = (attempt: Promise<unknown>): Promise<unknown> => attempt.then(() => 'ok', (cause: unknown) => (cause as { code?: string }).code);
const tries = async (texts: readonly string[]): Promise<readonly unknown[]> => {
  const codes: unknown[] = [];
  for (const text of texts) codes.push(await codeOf(pins.prove(pin(text))));
  return codes;
};

describe('the approval PIN', () => {
  it('[IP-10] is proved by itself alone, is nowhere in what is kept, and without one nothing is proved', async () => {
    expect([await pins.isSet(), await codeOf(pins.prove(pin('471100')))]).toEqual([false, 'pin_required']);
    await pins.set(pin('471100'), null);
    expect([await pins.isSet(), await codeOf(pins.prove(pin('471100'))), await codeOf(pins.prove(pin('471101')))]).toEqual([true, 'ok', 'pin_wrong']);
    expect(JSON.stringify(saved)).not.toContain('471100');
  });

  it('is changed and removed by who has it', async () => {
    await pins.set(pin('471100'), null);
    expect(await codeOf(pins.set(pin('999999'), null))).toBe('pin_wrong');
    expect(await codeOf(pins.set(pin('999999'), pin('000000')))).toBe('pin_wrong');
    await pins.set(pin('999999'), pin('471100'));
    expect(await codeOf(pins.set(null, pin('471100')))).toBe('pin_wrong');
    await pins.set(null, pin('999999'));
    expect([await pins.isSet(), await codeOf(pins.set(null, null))]).toEqual([false, 'pin_required']);
  });

  it('has six characters at least', async () => {
    expect([await codeOf(pins.set(pin('12345'), null)), await pins.isSet()]).toEqual(['bad_request', false]);
  });

  it('[IP-10] three wrong ones are looked at; then one waits, each time twice as long, also after a restart', async () => {
    await pins.set(pin('471100'), null);
    expect(await tries(['a', 'b', 'c', '471100'])).toEqual(['pin_wrong', 'pin_wrong', 'pin_wrong', 'too_many_requests']);
    pins = open();
    expect(await tries(['471100'])).toEqual(['too_many_requests']);
    await clock.advance(30_000);
    expect(await tries(['d', '471100'])).toEqual(['pin_wrong', 'too_many_requests']);
    await clock.advance(30_000);
    expect(await tries(['471100'])).toEqual(['too_many_requests']);
    await clock.advance(30_000);
    expect([await tries(['471100']), record?.wrong]).toEqual([['ok'], 0]);
  });

  it('[IP-10] counts a try before it looks: who ends the daemon meanwhile has used it up', async () => {
    await pins.set(pin('471100'), null);
    saved = [];
    await codeOf(pins.prove(pin('000000')));
    expect(saved.map((each) => each?.wrong)).toEqual([1]);
    await pins.prove(pin('471100'));
    expect(saved.map((each) => each?.wrong)).toEqual([1, 2, 0]);
  });

  it('is tried one at a time', async () => {
    await pins.set(pin('471100'), null);
    const codes = await Promise.all(Array.from({ length: 6 }, (_, i) => codeOf(pins.prove(pin(`wrong-${i}`)))));
    expect(codes).toEqual(['pin_wrong', 'pin_wrong', 'pin_wrong', 'too_many_requests', 'too_many_requests', 'too_many_requests']);
  });

  it('makes nobody wait longer for a clock that was set back', async () => {
    await pins.set(pin('471100'), null);
    await tries(['a', 'b', 'c']);
    clock = new FakeClock(0);
    await clock.advance(1_000);
    await expect(pins.prove(pin('471100'))).rejects.toMatchObject({ facts: { retryAfterS: 30 } });
  });
});
