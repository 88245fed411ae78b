import { expect, it } from 'vitest';
import { ttyName } from '../../../../daemon/core/tty.ts';

it.each([
  [34_816, 'pts/0'], [34_819, 'pts/3'], [34_816 + 255, 'pts/255'], [34_816 | (1 << 20), 'pts/256'], [0x0401, 'tty1'], [0x0440, 'ttyS0'], [0x0501, '5:1'],
])('%d is %s', (device, name) => {
  expect(ttyName(device)).toBe(name);
});
