import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import type { Hook } from '../../../../daemon/core/hook.ts';
import { Hooks } from '../../../../daemon/notices/hooks.ts';
import type { BrokerEvent } from '../../../../shared/schemas.ts';
import { settle } from '../../../support/fake-clock.ts';
import { LogSink } from '../../../support/fakes.ts';

const told = (over: Partial<BrokerEvent> = {}): BrokerEvent => ({ at: 1_800_000_000, event: 'grant_parked', profile: 'work', detail: 'expired', ...over });
const hook = (over: Partial<Hook> = {}): Hook => ({ name: 'tell', on: ['grant_parked'], run: ['/bin/tell', 'me'], ...over });

function rig(first: readonly Hook[] | BrokerError) {
  let file: readonly Hook[] | BrokerError = first;
  const ran: { argv: readonly string[]; variables: Readonly<Record<string, string>>; end: (why: string | null) => void }[] = [];
  const log = new LogSink();
  const stop = new AbortController();
  const hooks = new Hooks({
    log, signal: stop.signal,
    read: async () => {
      if (file instanceof BrokerError) throw file;
      return file;
    },
    run: (argv, variables) => new Promise((end) => void ran.push({ argv, variables, end })),
  });
  return { hooks, ran, log, stop, write: (next: typeof file) => { file = next; } };
}

describe('a hook', () => {
  it('is told of the events that it names, with words of the daemon\'s own', async () => {
    const { hooks, ran } = rig([hook()]);
    await hooks.open();
    hooks.take(told());
    hooks.take(told({ event: 'locked', profile: null, detail: null }));
    expect(ran).toMatchObject([{ argv: ['/bin/tell', 'me'], variables: { VALETKEY_EVENT: 'grant_parked', VALETKEY_PROFILE: 'work', VALETKEY_DETAIL: 'expired', VALETKEY_AT: '1800000000', VALETKEY_HOOK: 'tell' } }]);
  });

  it.each([
    ['a detector\'s sentence, of which its name is left', { event: 'detected' as const, detail: 'refresh_spike: $(rm -rf ~) asked often' }, 'refresh_spike'],
    ['what is no word of ours', { detail: '$(rm -rf ~)' }, undefined],
    ['a line end', { detail: 'a\nb' }, undefined],
    ['nothing', { detail: null }, undefined],
  ])('[AL-04] hears no text that a stranger chose: %s', async (_what, over, detail) => {
    const { hooks, ran } = rig([hook({ on: ['grant_parked', 'detected'] })]);
    await hooks.open();
    hooks.take(told(over));
    expect(ran[0]?.variables['VALETKEY_DETAIL']).toBe(detail);
  });

  it('runs once at a time, keeps sixteen events waiting, and says once that it dropped others', async () => {
    const { hooks, ran, log } = rig([hook()]);
    await hooks.open();
    for (let i = 0; i < 100; i += 1) hooks.take(told({ detail: `n${i}` }));
    expect(ran).toHaveLength(1);
    for (let i = 0; i < 17; i += 1) {
      expect(ran).toHaveLength(i + 1);
      ran[i]?.end(null);
      await settle();
    }
    expect(ran.map(({ variables }) => variables['VALETKEY_DETAIL'])).toEqual(Array.from({ length: 17 }, (_, i) => `n${i}`));
    expect(log.lines.filter(({ event }) => event === 'hook_events_dropped')).toHaveLength(1);
    expect(log.lines.find(({ event }) => event === 'hook_events_were_dropped')).toMatchObject({ fields: { hook: 'tell', events: 83 } });
  });

  it('does not wait for another one, and a failure is in the log by its name', async () => {
    const { hooks, ran, log } = rig([hook(), hook({ name: 'other' })]);
    await hooks.open();
    hooks.take(told());
    expect(ran).toHaveLength(2);
    ran[0]?.end('took longer than 10 s');
    await settle();
    expect(log.lines.find(({ event }) => event === 'hook_failed')).toMatchObject({ fields: { hook: 'tell', event: 'grant_parked', why: 'took longer than 10 s' } });
  });

  it('starts nothing more once the daemon stops', async () => {
    const { hooks, ran, stop } = rig([hook()]);
    await hooks.open();
    hooks.take(told());
    hooks.take(told());
    stop.abort();
    ran[0]?.end(null);
    await settle();
    expect(ran).toHaveLength(1);
  });
});

describe('hooks.toml', () => {
  it('that is wrong at the start leaves a daemon without hooks, and says so', async () => {
    const { hooks, log } = rig(new BrokerError('config_invalid', '/c/hooks.toml:3:1: "on" is missing'));
    await hooks.open();
    expect(hooks.trouble).toBe('/c/hooks.toml:3:1: "on" is missing; no hook runs');
    expect(log.lines.map(({ event }) => event)).toEqual(['hooks_not_read']);
  });

  it.each([
    ['config_invalid', 1, 'the hooks from before still run'],
    ['config_untrusted', 0, 'no hook runs'],
  ] as const)('with %s at a reload leaves %i of one', async (code, left, words) => {
    const { hooks, ran, write } = rig([hook()]);
    await hooks.open();
    write(new BrokerError(code, 'it is wrong'));
    await expect(hooks.reload()).rejects.toMatchObject({ code });
    hooks.take(told());
    expect([ran.length, hooks.trouble]).toEqual([left, `it is wrong; ${words}`]);
    write([hook()]);
    await hooks.reload();
    expect(hooks.trouble).toBeNull();
  });

  it('that loses a hook ends what waits for it; one that stays keeps its place in line', async () => {
    const { hooks, ran, write } = rig([hook(), hook({ name: 'goes' })]);
    await hooks.open();
    hooks.take(told({ detail: 'first' }));
    hooks.take(told({ detail: 'second' }));
    write([hook({ run: ['/bin/other'] })]);
    await hooks.reload();
    for (const each of ran.slice(0, 2)) each.end(null);
    await settle();
    expect(ran.slice(2).map(({ argv, variables }) => [argv, variables['VALETKEY_DETAIL']])).toEqual([[['/bin/other'], 'second']]);
  });
});
