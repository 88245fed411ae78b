import { describe, expect, it } from 'vitest';
import { isInterpreter, runsCommand, scriptOf } from '../../../../daemon/callers/script.ts';

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
    ['/usr/bin/bash', ['bash', '/dev/fd/63', 'argument'], null],
    ['/usr/bin/ruby3.1', ['ruby', '-w', '-I', 'lib', '-rjson', 'tool.rb'], '/home/ada/tool.rb'],
    ['/usr/bin/ruby3.1', ['ruby', '-ne', 'code', 'file'], null],
    ['/usr/bin/perl', ['perl', '-w', '-Ilib', '-Mstrict', '-I', 'more', 'tool.pl'], '/home/ada/tool.pl'],
    ['/usr/bin/perl', ['perl', '-ne', 'code', 'file'], null],
    ['/usr/bin/fish', ['fish', '-C', 'init', '--no-config', 'tool.fish'], '/home/ada/tool.fish'],
    ['/usr/bin/fish', ['fish', '-c', 'code'], null],
    ['/usr/bin/bun', ['bun', 'run', 'tool.ts'], '/home/ada/tool.ts'],
    ['/usr/bin/deno', ['deno', 'run', '--allow-net', '/opt/tool.ts', '-x'], '/opt/tool.ts'],
    ['/usr/bin/php8.2', ['php', '-d', 'memory_limit=1G', '-n', 'tool.php', '-x'], '/home/ada/tool.php'],
    ['/usr/bin/php8.2', ['php', '-dx=1', '-f', 'tool.php'], '/home/ada/tool.php'],
    ['/usr/bin/php8.2', ['php', '--file=/opt/tool.php'], '/opt/tool.php'],
    ['/usr/bin/php8.2', ['php', '-r', 'code();', 'argument'], null],
    ['/usr/bin/php8.2', ['php', '-S', 'localhost:80', 'router.php'], null],
    ['/opt/jdk/bin/java', ['java', '-Xmx1g', '-Dkey=value', '--add-opens', 'java.base/x=ALL-UNNAMED', '-jar', 'tool.jar', 'login'], '/home/ada/tool.jar'],
    ['/opt/jdk/bin/java', ['java', '-cp', 'a.jar:b.jar', 'com.example.Main', 'x.java'], null],
    ['/opt/jdk/bin/java', ['java', '--source', '21', 'Tool.java'], '/home/ada/Tool.java'],
    ['/opt/jdk/bin/java', ['java', '-m', 'module/Main', '-jar', 'x.jar'], null],
    ['/opt/jdk/bin/java', ['java', '-jar'], null],
    ['/usr/bin/git', ['git', 'fetch'], null],
    ['/usr/bin/nodejs-tool', ['nodejs-tool', 'x.js'], null],
    ['/usr/bin/node (deleted)', ['node', 'cli.js'], '/home/ada/cli.js'],
    ['/usr/bin/python3.13t', ['python3', 'tool.py'], '/home/ada/tool.py'],
    ['/usr/bin/dotnet', ['dotnet', '--roll-forward', 'Major', 'tool.dll', 'x'], '/home/ada/tool.dll'],
    ['/usr/bin/dotnet', ['dotnet', 'exec', '--depsfile', 'x.json', '/opt/tool.dll'], '/opt/tool.dll'],
    ['/usr/bin/dotnet', ['dotnet', 'build', 'tool.dll'], null],
    ['/lib64/ld-linux-x86-64.so.2', ['ld.so', '/usr/bin/git'], null],
    ['/usr/bin/tclsh8.6', ['tclsh', 'tool.tcl'], null],
    // `..` behind a name that may be a link: as it was written.
    ['/usr/bin/node', ['node', 'x/../cli.js'], '/home/ada/x/../cli.js'],
    ['/usr/bin/node', ['node', '..//./x/../../cli.js'], '/home/x/../../cli.js'],
    ['/usr/bin/node', ['node', '/opt/./x/../cli.js'], '/opt/x/../cli.js'],
    ['/usr/bin/node', ['node', '/../cli.js'], '/cli.js'],
    ['/usr/bin/node', ['node', '../..'], '/'],
  ])('%s %j -> %s', (executable, argv, script) => {
    expect(scriptOf(executable, argv, '/home/ada')).toBe(script);
  });

  it('does not guess where the working directory is not known', () => {
    expect(scriptOf('/usr/bin/node', ['node', 'cli.js'], null)).toBeNull();
    expect(scriptOf('/usr/bin/node', ['node', 'cli.js'], '/gone (deleted)')).toBeNull();
    expect(scriptOf('/usr/bin/node', ['node', '/cli.js'], null)).toBe('/cli.js');
  });
});

describe('runsCommand', () => {
  it.each([
    ['/usr/bin/dash', ['sh', '-c', 'code'], true],
    ['/usr/bin/bash', ['/bin/bash', '-l', '-euxo', 'pipefail', '-c', 'code'], true],
    ['/usr/bin/fish', ['fish', '--command=code'], true],
    ['/usr/bin/bash', ['-bash'], false],
    ['/usr/bin/bash', ['bash', '-i'], false],
    ['/usr/bin/bash', ['bash', '-s', 'argument'], false],
    ['/usr/bin/bash', ['bash', 'deploy.sh', '-c'], false],
    ['/usr/bin/python3', ['python3', '-c', 'code'], false],
    ['/usr/bin/git', ['git', '-c', 'x=y'], false],
  ])('%s %j: %s', (executable, argv, is) => {
    expect(runsCommand(executable, argv)).toBe(is);
  });
});

describe('isInterpreter', () => {
  it.each([
    'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1', 'ld-2.31.so', 'ld-musl-x86_64.so.1', 'ld64.so.2', 'libc.musl-x86_64.so.1', 'qemu-aarch64-static', 'wine64-preloader', 'gdb', 'busybox',
    'lua5.4', 'luajit-2.1.0', 'tclsh8.6', 'guile-3.0', 'R', 'pwsh', 'mawk', 'gawk', 'emacs-nox', 'emacs-28.2', 'vim.basic', 'nvim', 'beam.smp', 'dotnet', 'python3.11-dbg', 'python3.13td',
  ])('is what runs code of anybody: %s', (name) => {
    expect(isInterpreter(`/usr/bin/${name}`)).toBe(true);
  });

  it.each(['git', 'curl', 'ls', 'make', 'rg', 'ldd', 'ldapsearch', 'ruff', 'nurse', 'rsync', 'Rectangle', 'valetkey', 'gh', 'libc-tool', 'luacheck', 'vimdiff-tool1x', 'kubectl', 'awkward'])('is no program that runs its own: %s', (name) => {
    expect(isInterpreter(`/usr/bin/${name}`)).toBe(false);
  });
});
