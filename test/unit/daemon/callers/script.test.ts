import { describe, expect, it } from 'vitest';
import { scriptOf } from '../../../../daemon/callers/script.ts';

describe('scriptOf', () => {
  it.each([
    ['/usr/bin/node', ['node', '/opt/tool/cli.js', 'login'], '/opt/tool/cli.js'],
    ['/usr/bin/node', ['node', 'cli.js'], '/home/ada/cli.js'],
    ['/usr/bin/node', ['node', '../x/./cli.js'], '/home/x/cli.js'],
    ['/usr/bin/node', ['node', '--no-warnings', '-r', './hook.js', '--import', 'x', '--conditions=dev', 'cli.js'], '/home/ada/cli.js'],
    ['/usr/bin/node', ['node', '--', '-odd.js'], '/home/ada/-odd.js'],
    ['/usr/bin/node', ['node', '-e', 'code()', 'argument'], null],
    ['/usr/bin/node', ['node', '-pe', 'code()'], null],
    ['/usr/bin/node', ['node', '--eval=code()', 'argument'], null],
    ['/usr/bin/node', ['node', '--test', 'x.js'], null],
    ['/usr/bin/node', ['node', '-', 'argument'], null],
    ['/usr/bin/node', ['node'], null],
    ['/usr/bin/node', [], null],
    ['/usr/bin/python3.12', ['python3', '-u', '-X', 'dev', '-W', 'ignore', 'tool.py'], '/home/ada/tool.py'],
    ['/usr/bin/python3.12', ['python3', '-Werror', '-uXdev', 'tool.py'], '/home/ada/tool.py'],
    ['/usr/bin/python3.12', ['python3', '-m', 'pip', 'install'], null],
    ['/usr/bin/python3.12', ['python3', '-Bm', 'pip'], null],
    ['/usr/bin/python3.12', ['python3', '-c', 'code()', 'argument'], null],
    ['/usr/bin/bash', ['bash', '-x', '-o', 'pipefail', '+e', 'deploy.sh'], '/home/ada/deploy.sh'],
    ['/usr/bin/bash', ['bash', '--rcfile', 'rc', '--norc', 'deploy.sh'], '/home/ada/deploy.sh'],
    ['/usr/bin/bash', ['bash', '-euxo', 'pipefail', '-c', 'code', 'name'], null],
    ['/usr/bin/dash', ['sh', '-xc', 'code'], null],
    ['/usr/bin/dash', ['-sh'], null],
    ['/usr/bin/ruby3.1', ['ruby', '-w', '-I', 'lib', '-rjson', 'tool.rb'], '/home/ada/tool.rb'],
    ['/usr/bin/ruby3.1', ['ruby', '-ne', 'code', 'file'], null],
    ['/usr/bin/perl', ['perl', '-w', '-Ilib', '-Mstrict', '-I', 'more', 'tool.pl'], '/home/ada/tool.pl'],
    ['/usr/bin/perl', ['perl', '-ne', 'code', 'file'], null],
    ['/usr/bin/git', ['git', 'fetch'], null],
    ['/usr/bin/nodejs-tool', ['nodejs-tool', 'x.js'], null],
    ['/usr/bin/node (deleted)', ['node', 'cli.js'], '/home/ada/cli.js'],
  ])('%s %j -> %s', (executable, argv, script) => {
    expect(scriptOf(executable, argv, '/home/ada')).toBe(script);
  });

  it('does not guess where the working directory is not known', () => {
    expect(scriptOf('/usr/bin/node', ['node', 'cli.js'], null)).toBeNull();
    expect(scriptOf('/usr/bin/node', ['node', 'cli.js'], '/gone (deleted)')).toBeNull();
    expect(scriptOf('/usr/bin/node', ['node', '/cli.js'], null)).toBe('/cli.js');
  });
});
