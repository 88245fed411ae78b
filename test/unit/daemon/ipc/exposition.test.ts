import { expect, it } from 'vitest';
import { writeExposition } from '../../../../daemon/ipc/routes/exposition.ts';

it('writes groups of help, type and samples, escapes what the format reserves, and leaves out what has no sample', () => {
  expect(writeExposition([
    { name: 'a_total', type: 'counter', help: 'back\\slash\nand line', samples: [{ labels: {}, value: 3 }] },
    { name: 'none', type: 'gauge', help: 'x', samples: [] },
    { name: 'b', type: 'gauge', help: 'h', samples: [{ labels: { l: 'a"b\\c\nd', m: 'é' }, value: 0.25 }, { labels: { l: '2', m: '' }, value: Number.POSITIVE_INFINITY }, { labels: { l: '3', m: '' }, value: Number.NaN }] },
  ])).toBe([
    '# HELP a_total back\\\\slash\\nand line', '# TYPE a_total counter', 'a_total 3',
    '# HELP b h', '# TYPE b gauge', 'b{l="a\\"b\\\\c\\nd",m="é"} 0.25', 'b{l="2",m=""} +Inf', 'b{l="3",m=""} NaN', '',
  ].join('\n'));
});
