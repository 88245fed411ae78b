import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { linesOf, positionOf, statementsOf } from '../../../../daemon/config/statements.ts';

const TEXT = `# head
v = 1

[log] # where
level = "info"
file = """
[profiles.fake]
client_id = "not here"
"""

[profiles."a.b"]
scopes = [
  "one", # ]
  "two",
]
authorization_params.prompt = "login"

[profiles.c.authorization_params]
prompt = "x"
[profiles]
d = { client_id = "y", browser = ["e"] }
`;

describe('statements', () => {
  it('cover the text without gap or overlap', () => {
    const statements = statementsOf(TEXT);
    const lines = linesOf(TEXT);
    expect(lines.join('')).toBe(TEXT);
    expect(statements.map(({ start }) => start)).toEqual([0, ...statements.slice(0, -1).map(({ end }) => end)]);
    expect(statements.at(-1)?.end).toBe(lines.length);
    expect(statements.filter(({ kind }) => kind === 'header').map(({ table }) => table)).toEqual([['log'], ['profiles', 'a.b'], ['profiles', 'c', 'authorization_params'], ['profiles']]);
  });

  it.each([
    [['v'], 2, 1], [['log'], 4, 2], [['log', 'level'], 5, 1], [['log', 'file'], 6, 1], [['profiles', 'a.b'], 11, 12], [['profiles', 'a.b', 'scopes'], 12, 1],
    [['profiles', 'a.b', 'authorization_params', 'prompt'], 16, 22], [['profiles', 'c'], 18, 11], [['profiles', 'c', 'authorization_params', 'prompt'], 19, 1],
    [['profiles', 'd'], 21, 1], [['profiles', 'd', 'client_id'], 21, 7], [['profiles', 'd', 'browser'], 21, 24],
  ])('find %j in line %i, column %i', (path, line, column) => {
    expect(positionOf(TEXT, path)).toEqual({ line, column });
  });

  it('find nothing that is not there', () => {
    for (const path of [['x'], ['profiles', 'fake'], ['profiles', 'fake', 'client_id'], ['log', 'client_id'], ['profiles', 'd', 'nothing'], ['level'], []]) expect(positionOf(TEXT, path)).toBeNull();
  });

  it('find every key of whatever table the serialiser writes', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/);
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 }));
    const table = fc.dictionary(key, fc.dictionary(key, value, { minKeys: 1, maxKeys: 4 }), { minKeys: 1, maxKeys: 4 });
    fc.assert(fc.property(table, (document) => {
      const text = stringify(document);
      return Object.entries(document).every(([name, inner]) => Object.keys(inner).every((k) => positionOf(text, [name, k]) !== null));
    }), { numRuns: 60 });
  });
});
