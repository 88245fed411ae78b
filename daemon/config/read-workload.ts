/** All `[workloads.NAME]` tables with the files that they name, or the first fault in them. */
import * as v from 'valibot';
import { parseProfileName } from '../../shared/names.ts';
import type { ProfileName } from '../../shared/names.ts';
import { workloadTable } from '../../shared/workload-schemas.ts';
import type { Workload } from '../core/workload.ts';
import { isFault } from './fault.ts';
import type { Fault } from './fault.ts';
import { readAuthorities, resolvePath } from './read-profile.ts';
import type { ProfileDeps } from './read-profile.ts';
import { isTable, shapeFault } from './shape.ts';
import { makeWorkload } from './workload.ts';

/** @param taken - names of people's profiles: one name is one thing, so that no request can mean both. */
export async function readWorkloads(deps: ProfileDeps, tables: unknown, taken: ReadonlyMap<ProfileName, unknown>): Promise<ReadonlyMap<ProfileName, Workload> | Fault> {
  const workloads = new Map<ProfileName, Workload>();
  for (const [written, table] of Object.entries(isTable(tables) ? tables : {})) {
    const path = ['workloads', written];
    const name = parseProfileName(written);
    if (name === null) return { path, problem: 'is not a profile name: a-z, 0-9, dot, dash and underscore, a letter or digit first, 64 at most' };
    if (taken.has(name)) return { path, problem: 'is the name of a profile too; give the workload another one' };
    const workload = await readWorkload(deps, path, name, table);
    if (isFault(workload)) return workload;
    workloads.set(name, workload);
  }
  return workloads;
}

async function readWorkload(deps: ProfileDeps, path: readonly string[], name: ProfileName, table: unknown): Promise<Workload | Fault> {
  const shape = shapeFault(workloadTable, table, path);
  if (shape !== null) return shape;
  const parsed = v.parse(workloadTable, table);
  const caFile = parsed.ca_file === undefined ? null : resolvePath(parsed.ca_file, deps.home, [...path, 'ca_file']);
  if (caFile !== null && typeof caFile !== 'string') return caFile;
  const caPem = caFile === null ? null : await readAuthorities(deps, caFile, [...path, 'ca_file']);
  if (caPem !== null && typeof caPem !== 'string') return caPem;
  const file = parsed.assertion_file === undefined ? null : resolvePath(parsed.assertion_file, deps.home, [...path, 'assertion_file']);
  if (file !== null && typeof file !== 'string') return file;
  const made = makeWorkload(name, caFile === null ? parsed : { ...parsed, ca_file: caFile }, caPem, file);
  return isFault(made) ? { ...made, path: [...path, ...made.path] } : made;
}
