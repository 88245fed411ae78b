/** What every campaign stands on: a daemon with live fault points, and a person at a terminal who signs in. */
import { afterAll, beforeAll } from 'vitest';
import { buildFaulty } from '../support/fault-build.ts';
import type { FaultBuild } from '../support/fault-build.ts';
import { Person } from './rig.ts';

export type Stage = { readonly build: FaultBuild; readonly person: Person };

/** Set up before the tests of the calling file, and gone after them. */
export function useStage(): Stage {
  let build: FaultBuild | null = null;
  let person: Person | null = null;
  beforeAll(async () => {
    build = buildFaulty();
    person = await Person.appear();
  });
  afterAll(async () => {
    await person?.leave();
    build?.remove();
  });
  const there = <T>(value: T | null): T => {
    if (value === null) throw new Error('the stage is set only while tests run');
    return value;
  };
  return { get build() { return there(build); }, get person() { return there(person); } };
}
