/**
 * Programs that run code which their own file does not tell: known by name, as data. The daemon looks for the script
 * behind them, and takes a yes without one for that one process; proposals of rules leave them out without one.
 */
export type InterpreterKind = 'node' | 'runner' | 'python' | 'shell' | 'fish' | 'ruby' | 'perl' | 'php' | 'java' | 'dotnet' | 'anyCode';

const NAMES: readonly (readonly [RegExp, InterpreterKind])[] = [
  [/^(node|nodejs)$/, 'node'],
  [/^(bun|deno)$/, 'runner'],
  // 3.13t: without the lock; 3.11d, 3.11-dbg: for debugging.
  [/^(python|pypy)[\d.]*(t?d?|-dbg)$/, 'python'],
  [/^(sh|bash|dash|ash|zsh|ksh|mksh|tcsh|csh)$/, 'shell'],
  [/^fish$/, 'fish'],
  [/^ruby[\d.]*$/, 'ruby'],
  [/^perl[\d.]*$/, 'perl'],
  [/^php[\d.]*$/, 'php'],
  [/^java$/, 'java'],
  [/^dotnet$/, 'dotnet'],
  // The loader runs any program that it is given (ld.so(8)), and so do emulators and debuggers.
  [/^(ld(64|[-.].+)?|libc(\..+)?)\.so(\.\d+)?$/, 'anyCode'],
  [/^(qemu-.+|box(64|86)|FEXInterpreter|wine(64)?(-preloader)?|gdb|lldb.*|busybox|toybox)$/, 'anyCode'],
  [/^(lua(jit)?|tclsh|wish|expect|guile|R|julia|mono(-sgen)?|pwsh|nu|elvish|beam\.smp|ocaml(run)?|racket|sbcl|ghc|gjs(-console)?|qjs|electron|[gmn]?awk|emacs|n?vim|perf)(-?[\d.]+)?([.-][a-z]+)*$/, 'anyCode'],
];

/** Null: its file tells what runs. */
export function interpreterKind(executable: string): InterpreterKind | null {
  const name = executable.slice(executable.lastIndexOf('/') + 1).replace(/^memfd:/, '').replace(/ \(deleted\)$/, '');
  return NAMES.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}
