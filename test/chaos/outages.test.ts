/** Issuers that are away, hang, drip, flood, answer late or with errors, beside one that is well, in real time. */
import { describe, expect, it } from 'vitest';
import { isFull, publish, replayable, runs, scale } from './campaign.ts';
import { askAllAtOnce, layLow, openWard, sicknesses } from './outages.ts';
import { useStage } from './stage.ts';

replayable('outages');

/** No more: sixty sign-ins at one issuer are let in within ten minutes. */
const GRANTS = Math.min(runs(2, 50), 50);
const SICK_S = scale(3, 75);
const SICKNESSES = sicknesses(scale<readonly number[]>([10_200], [15_000, 30_000]));

const stage = useStage();
/** Who asks is answered in ten seconds; the rest is a machine with other work. */
const TOLD_MS = 11_000;
/** Of an issuer that is well, beside eight that are not. */
const WELL_MS = 3_000;
/**
 * What an issuer that swallows refresh tokens may take: two before anything is known of it, two more where it looks
 * like errors of its own, and from then on one in 9.5 s, of which the first is one of the two.
 */
const SWALLOWS = 4 + Math.ceil(SICK_S / 9.5);
/** Fifty refreshes at once are five round trips, and most of their time is the issuer's own, which signs. */
const ALL_AT_ONCE_MS = 5_000;
/** Not even a connection is opened. */
const UNOPENED = /refuses|accept/;

describe('issuers that are ill', () => {
  const ways = [['in turn', false], ...(isFull ? [['at once', true] as const] : [])] as const;
  it.each(ways)(`[TK-07] for ${SICK_S} s, with ${GRANTS} grants each that are asked for %s: what was not sent is not lost, and nobody else notices`, async (how, atOnce) => {
    const ward = await openWard(stage.build, stage.person, SICKNESSES, GRANTS);
    try {
      // A moment ago they all answered: that must not be believed for long.
      const allAtOnceMs = atOnce ? await askAllAtOnce(ward) : null;
      const { courses, wellSlowestMs, wellAsked } = await layLow(ward, SICK_S, atOnce);
      publish(atOnce ? 'outages-at-once' : 'outages', {
        ...Object.fromEntries(courses.map(({ sickness, asked, sent, lost, recoveryMs }) => [sickness, `${asked} asked, ${sent} sent, ${lost} lost, well after ${(recoveryMs / 1000).toFixed(1)} s`])),
        'slowest answer to a caller, s': (Math.max(...courses.map(({ slowestMs }) => slowestMs)) / 1000).toFixed(1),
        'refreshes at the issuer that is well': wellAsked, 'its slowest, ms': Math.round(wellSlowestMs),
        ...(allAtOnceMs === null ? {} : { 'all grants of one issuer at once before that, the slowest of nine, ms': Math.round(allAtOnceMs) }),
      }, courses);
      const by = new Map(SICKNESSES.map((each) => [each.name, each]));
      for (const course of courses) {
        const facts = `${how}: ${JSON.stringify(course)}`;
        expect(course.lost, facts).toBeLessThanOrEqual(by.get(course.sickness)?.mayLose === true ? Math.min(course.sent, SWALLOWS) : 0);
        expect(course.slowestMs, facts).toBeLessThan(TOLD_MS);
        if (UNOPENED.test(course.sickness)) expect(course.sent, facts).toBe(0);
      }
      expect(wellSlowestMs).toBeLessThan(WELL_MS);
      expect(allAtOnceMs ?? 0).toBeLessThan(ALL_AT_ONCE_MS);
      for (const { ledger } of [...ward.beds.values(), ward.well]) expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
    } finally {
      await ward.leave();
    }
  }, 300_000 + GRANTS * 10_000);
});
