import { describe, expect, it } from 'vitest';
import { HOOK, parseHooks } from '../../../daemon/config/hooks.ts';
import { HOOK_EVENTS } from '../../../daemon/core/hook.ts';
import { blocksOf, codeOf, readDocument, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('docs/hooks.md');
const FILE = sectionOf(TEXT, 'hooks.toml');

describe('docs/hooks.md', () => {
  it('has every key of a hook, every event that one can be told of, and no other', () => {
    expect(rowsOf(FILE).map(([key]) => codeOf(key)).filter((key) => key !== '')).toEqual(Object.keys(HOOK.entries));
    const [, list = ''] = /What can stand in `on`:([^]*?)\.\n/.exec(FILE) ?? [];
    expect([...list.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(HOOK_EVENTS);
  });

  it('has an example that is read', () => {
    expect(parseHooks(blocksOf(TEXT).find(({ language }) => language === 'toml')?.text ?? '', 'hooks.toml')).toHaveLength(2);
  });

  it('names only events that the protocol explains', () => {
    const events = rowsOf(sectionOf(readDocument('docs/protocol.md'), 'GET /v1/events')).map(([name]) => codeOf(name));
    for (const name of HOOK_EVENTS) expect(events).toContain(name);
  });
});
