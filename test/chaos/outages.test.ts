/** Issuers that are away, hang, drip, flood, answer late or with errors, beside one that is well, in real time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFaulty } from '../support/fault-build.ts';
import type { FaultBuild } from '../support/fault-build.ts';
import { publish, replayable, runs, scale } from './campaign.ts';
import { layLow, openWard, sicknesses } from './outages.ts';
import { Person } from './rig.ts';

replayable('outages');

const GRANTS = runs(4, 50);
const SICK_S = scale(12, 75);
const SICKNESSES = sicknesses(scale<readonly number[]>([10_500], [15_000, 30_000]));

let build: FaultBuild;
let person: Person;
beforeAll(async () => {
  build = buildFaulty();
  person = await Person.appear();
});
afterAll(async () => {
  await person.leave();
  build.remove();
});

describe('issuers that are ill', () => {
  it.each([['in turn', false], ['at once', true]] as const)(`[TK-07] for ${SICK_S} s, with ${GRANTS} grants each that are asked for %s`, async (how, atOnce) => {
    const ward = await openWard(build, person, SICKNESSES, GRANTS);
    try {
      const { courses, wellSlowestMs, wellAsked } = await layLow(ward, SICK_S, atOnce);
      console.log(JSON.stringify({ how, courses, wellSlowestMs, wellAsked }, null, 1));
    } finally {
      await ward.leave();
    }
  }, 300_000 + GRANTS * 10_000);
});
