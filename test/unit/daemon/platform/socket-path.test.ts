import { describe, expect, it } from 'vitest';
import { checkSocketPath } from '../../../../daemon/platform/socket-path.ts';

describe('checkSocketPath', () => {
  it('takes a path of 103 bytes', () => {
    expect(() => checkSocketPath(`/${'x'.repeat(102)}`)).not.toThrow();
  });

  it.each([
    ['104 bytes', `/${'x'.repeat(103)}`, /104 bytes/],
    ['103 characters that are more bytes', `/${'ä'.repeat(102)}`, /205 bytes/],
    ['an abstract name', '\0valetkey', /abstract/],
    ['a NUL inside', '/run/valet\0key', /NUL/],
    ['a relative path', 'run/socket', /not absolute/],
    ['nothing', '', /not absolute/],
  ])('refuses %s', (_, path, message) => {
    expect(() => checkSocketPath(path)).toThrow(expect.objectContaining({ code: 'socket_path_invalid', message: expect.stringMatching(message) }));
  });
});
