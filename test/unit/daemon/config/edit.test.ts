import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { parseProfileName } from '../../../../shared/names.ts';
import type { ProfileName } from '../../../../shared/names.ts';
import { addProfile, removeProfile } from '../../../../daemon/config/edit.ts';

const name = (text: string): ProfileName => {
  const parsed = parseProfileName(text);
  if (parsed === null) throw new Error(`not a name: ${text}`);
  return parsed;
};
const TABLE = { issuer: 'https://new.example.com', client_id: 'cli', scopes: ['openid'], authorization_params: { prompt: 'login' } };

const TEXT = `# Ann's configuration
v = 1

[log]   # quiet
level = "warn"

# Work: ask Bob before changing.
[profiles.work]
client_id = "w" # registered in May
issuer = "https://work.example.com"
# a note among the keys

[profiles.work.authorization_params]
prompt = "login"

# Home.
# Two lines of it.
[profiles.home]
client_id = "h"
issuer = "https://home.example.com"
`;

describe('adding a profile', () => {
  it('appends it and leaves every byte that was there', () => {
    const after = addProfile(TEXT, name('new'), TABLE);
    expect(after.startsWith(TEXT)).toBe(true);
    expect(parse(after)).toMatchObject({ ...parse(TEXT), profiles: { ...Object(parse(TEXT)['profiles']), new: TABLE } });
    expect(after.slice(TEXT.length)).toBe('\n[profiles.new]\nissuer = "https://new.example.com"\nclient_id = "cli"\nscopes = [ "openid" ]\n\n[profiles.new.authorization_params]\nprompt = "login"\n');
  });

  it('begins an empty file with the version', () => {
    expect(addProfile('', name('new'), { client_id: 'x' })).toBe('v = 1\n\n[profiles.new]\nclient_id = "x"\n');
    expect(parse(addProfile('v = 1', name('new'), { client_id: 'x' }))).toEqual({ v: 1, profiles: { new: { client_id: 'x' } } });
    expect(parse(addProfile('# only a comment', name('new'), { client_id: 'x' }))).toEqual({ profiles: { new: { client_id: 'x' } } });
  });

  it('quotes what has to be quoted', () => {
    const table = { client_id: 'a"b\\c\n]\n[log]\nlevel = "debug"', browser: ['x', '#', '\u001b[31m'] };
    expect(parse(addProfile(TEXT, name('a.b'), table))).toMatchObject({ log: { level: 'warn' }, profiles: { 'a.b': table } });
  });

  it('refuses a name that is taken, and a layout that it cannot add to', () => {
    expect(() => addProfile(TEXT, name('work'), TABLE)).toThrow(expect.objectContaining({ code: 'profile_exists' }));
    expect(() => addProfile('profiles = { a = { client_id = "x" } }\n', name('new'), TABLE)).toThrow(expect.objectContaining({ code: 'config_invalid', hint: expect.stringContaining('by hand') }));
  });

  it('and removing it again gives the text back, whatever the profile says', () => {
    const table = fc.record({ client_id: fc.string(), scopes: fc.array(fc.string(), { maxLength: 3 }), authorization_params: fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.string(), { maxKeys: 3 }) });
    fc.assert(fc.property(table, fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/), (profile, called) => {
      fc.pre(called !== 'work' && called !== 'home');
      const added = addProfile(TEXT, name(called), profile as typeof TABLE);
      expect(removeProfile(added, name(called)).trimEnd()).toBe(TEXT.trimEnd());
    }), { numRuns: 60 });
  });
});

describe('removing a profile', () => {
  it('takes its tables, keys and the comments among them, and nothing else', () => {
    expect(removeProfile(TEXT, name('work'))).toBe(`# Ann's configuration
v = 1

[log]   # quiet
level = "warn"

# Work: ask Bob before changing.

# Home.
# Two lines of it.
[profiles.home]
client_id = "h"
issuer = "https://home.example.com"
`);
    expect(removeProfile(TEXT, name('home'))).toBe(TEXT.slice(0, TEXT.indexOf('[profiles.home]')));
  });

  it.each([
    ['dotted keys', 'profiles.a.client_id = "x"\nprofiles.a.issuer = "y"\nprofiles.b.client_id = "z"\n', 'profiles.b.client_id = "z"\n'],
    ['keys below [profiles]', '[profiles]\na.client_id = "x"\n# b\nb.client_id = "z"\n', '[profiles]\n# b\nb.client_id = "z"\n'],
    ['inline tables', '[profiles]\na = { client_id = "x", authorization_params = { p = "q" } }\nb = { client_id = "z" }\n', '[profiles]\nb = { client_id = "z" }\n'],
    ['a quoted name', '[profiles."a"]\nclient_id = """\n[profiles.b]\n"""\n[profiles.b]\nclient_id = "z"\n', '[profiles.b]\nclient_id = "z"\n'],
    ['tables that are apart', '[profiles.a]\nclient_id = "x"\n[profiles.b]\nclient_id = "z"\n[profiles.a.authorization_params]\np = "q"\n[log]\nlevel = "info"\n', '[profiles.b]\nclient_id = "z"\n[log]\nlevel = "info"\n'],
    ['CRLF', '[profiles.a]\r\nclient_id = "x"\r\n[profiles.b]\r\nclient_id = "z"\r\n', '[profiles.b]\r\nclient_id = "z"\r\n'],
  ])('knows %s', (_, text, after) => {
    expect(removeProfile(text, name('a'))).toBe(after);
  });

  it('refuses what it cannot cut out, and what is not there', () => {
    for (const text of ['profiles = { a = { client_id = "x" }, b = { client_id = "z" } }\n', '[profiles]\nc = 1\n']) {
      expect(() => removeProfile(text, name(text.includes('a =') ? 'a' : 'b'))).toThrow(expect.objectContaining({ code: text.includes('a =') ? 'config_invalid' : 'unknown_profile' }));
    }
    expect(() => removeProfile('', name('a'))).toThrow(expect.objectContaining({ code: 'unknown_profile' }));
    expect(() => removeProfile(TEXT, name('constructor'))).toThrow(expect.objectContaining({ code: 'unknown_profile' }));
  });
});
