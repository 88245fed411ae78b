/**
 * Who took part, from a record of any age: those of earlier versions lack what is known of callers by now, and say
 * less. All of it is text that programs chose (paths, names); whoever shows it cleans or escapes it.
 */
import type { Facts } from '../../shared/audit-line.ts';
import { isJsonObject } from '../../shared/json-object.ts';

export type CallerView = {
  /** What to call it: the script or the executable without its folders. */
  readonly name: string;
  /** The script, else the executable; the same program has the same path. */
  readonly path: string;
  readonly executable: string | null;
  readonly digest: string | null;
  readonly pid: number | null;
  readonly uid: number | null;
  /** human, agent or workload; null: the record does not say. */
  readonly kind: string | null;
  readonly agent: string | null;
  readonly unit: string | null;
  /** Marks such as container, remote, forwarded. */
  readonly marks: readonly string[];
  /** Parents, the nearest first. */
  readonly lineage: readonly string[];
};

export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

export function wordsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((word): word is string => typeof word === 'string') : [];
}

/** Names that half of all programs have: the folder says more. */
const COMMON = /^(?:cli|index|main|__main__|app|run|start)\.[a-z]{1,4}$/;

function nameOf(path: string): string {
  const [name = '', folder] = path.split('/').filter((part) => part !== '').toReversed();
  return (COMMON.test(name) && folder !== undefined ? `${folder}/${name}` : name) || path;
}

/** Null where nobody asked: the daemon acted by itself. */
export function viewCaller(caller: Facts | null): CallerView | null {
  if (caller === null) return null;
  const origin = isJsonObject(caller['origin']) ? caller['origin'] : caller;
  const program = isJsonObject(origin['program']) ? origin['program'] : caller;
  const executable = textOf(program['executable']) ?? textOf(caller['executable']);
  const path = textOf(program['script']) ?? executable ?? textOf(caller['label']) ?? '(unknown)';
  const lineage = Array.isArray(origin['lineage']) ? origin['lineage'].filter(isJsonObject) : [];
  return {
    name: nameOf(path), path, executable,
    digest: textOf(origin['digest']),
    pid: numberOf(caller['pid']), uid: numberOf(caller['uid']),
    kind: textOf(origin['class']), agent: textOf(origin['agent']), unit: textOf(origin['unit']),
    marks: [...['container', 'remote', 'forwarded'].filter((mark) => origin[mark] === true), ...(origin['isOrphan'] === true ? ['orphan'] : [])],
    lineage: lineage.map((parent) => textOf(parent['name']) ?? '?'),
  };
}

/** `git`, or `node in claude (agent)`. */
export function callerWords(view: CallerView | null): string {
  if (view === null) return 'the daemon';
  const agent = view.agent === null ? '' : ` in ${view.agent}`;
  const kind = view.kind === null || view.kind === 'human' ? '' : ` (${view.kind})`;
  return `${view.name}${agent}${kind}`;
}
