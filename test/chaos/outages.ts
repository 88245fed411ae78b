/**
 * A ward of sick issuers, one for each way in which a server fails, beside one that is well: all at one daemon, a
 * real process, with many grants each, in real time. While they are ill somebody asks each of them every second;
 * then they are well again. The ledgers say what was lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiReply } from '../support/api.ts';
import type { FaultBuild } from '../support/fault-build.ts';
import { Held } from '../support/fault-shim.ts';
import type { Harm } from '../support/fault-shim.ts';
import { startDoor } from '../support/stuck-door.ts';
import type { StuckDoor } from '../support/stuck-door.ts';
import { must } from './campaign.ts';
import { Ledger } from '../support/ledger.ts';
import { Laptop, startShimmed } from './rig.ts';
import type { Issuer, Person } from './rig.ts';

/** `token`: only the token endpoint is ill; `all`: every one. */
type Where = 'token' | 'all';
export type Sickness = {
  readonly name: string;
  /** Whether a refresh token can reach it: else nothing may be lost. */
  readonly mayLose: boolean;
  readonly hasDoor?: true;
  readonly fall: (bed: Bed) => Promise<void> | void;
  readonly rise: (bed: Bed) => Promise<void> | void;
};
/** One issuer with its grants, and one more that is asked for only when it is well again. */
export type Bed = { readonly issuer: Issuer; readonly ledger: Ledger; readonly door: StuckDoor | null; readonly profiles: readonly string[]; readonly spare: string };

const harmed = (name: string, where: Where, harm: () => Harm, mayLose: boolean): Sickness => ({
  name, mayLose,
  fall: ({ issuer: { shim } }) => { shim.judge = ({ endpoint }) => (where === 'all' || endpoint === 'token' ? harm() : { kind: 'pass' }); },
  // What hung breaks when the server is started again.
  rise: ({ issuer: { shim } }) => {
    shim.clear();
    shim.cut();
  },
});

/** The issuer grants at once, and its answer comes so much later: it is not lost. */
function late(ms: number): Sickness {
  const harm = (): Harm => {
    const held = new Held();
    void held.arrived.then(() => sleep(ms)).then(() => held.release());
    return { kind: 'hold', held };
  };
  return { ...harmed(`answers after ${ms / 1000} s`, 'token', harm, false), rise: ({ issuer: { shim } }) => shim.clear() };
}

export function sicknesses(latenesses: readonly number[]): readonly Sickness[] {
  return [
    { name: 'refuses connections', mayLose: false, fall: ({ issuer: { shim } }) => shim.down(), rise: ({ issuer: { shim } }) => shim.up() },
    { name: 'hangs in accept', mayLose: false, hasDoor: true, fall: ({ door }) => door?.stick(), rise: ({ door }) => door?.open() },
    harmed('answers 503', 'all', () => ({ kind: 'status', status: 503 }), false),
    harmed('hangs after the request', 'all', () => ({ kind: 'hold', held: new Held() }), true),
    harmed('hangs after the request, at the token endpoint alone', 'token', () => ({ kind: 'hold', held: new Held() }), true),
    harmed('drips', 'token', () => ({ kind: 'drip', pieces: 900, everyMs: 200 }), true),
    harmed('floods', 'token', () => ({ kind: 'flood' }), true),
    ...latenesses.map(late),
  ];
}

export type Course = {
  readonly sickness: string;
  asked: number;
  /** Requests that carried a refresh token while it was ill. */
  sent: number;
  /** Grants that needed a sign-in afterwards. */
  lost: number;
  recoveryMs: number;
  slowestMs: number;
  readonly codes: Record<string, number>;
};

export type Ward = {
  readonly laptop: Laptop;
  readonly beds: ReadonlyMap<Sickness, Bed>;
  readonly well: Bed;
  leave(): Promise<void>;
};

/** All grants of an issuer that is well, asked for in one moment: how long the last one takes. One issuer after the other. */
export async function askAllAtOnce({ laptop, beds, well }: Ward): Promise<number> {
  let slowestMs = 0;
  for (const { profiles } of [...beds.values(), well]) {
    const began = performance.now();
    const replies = await Promise.all(profiles.map((profile) => laptop.api('POST', '/v1/token', { profile, force: true })));
    for (const { status, text } of replies) must(status === 200, 'an issuer that is well is served', text);
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }
  return slowestMs;
}

export async function openWard(build: FaultBuild, person: Person, all: readonly Sickness[], grants: number): Promise<Ward> {
  const makeBed = async (name: string, hasDoor: boolean): Promise<Bed> => {
    let door: StuckDoor | null = null;
    const issuer = await startShimmed({ lifetimes: { accessTokenS: 7_200, idTokenS: 7_200 } }, async (origin) => {
      door = hasDoor ? await startDoor(origin) : null;
      return door?.origin ?? origin;
    });
    return { issuer, door, ledger: new Ledger(issuer.issuer), profiles: Array.from({ length: grants }, (_, n) => `${name}-${n}`), spare: `${name}-spare` };
  };
  const beds = new Map<Sickness, Bed>();
  for (const [n, sickness] of all.entries()) beds.set(sickness, await makeBed(`sick${n}`, sickness.hasDoor === true));
  const well = await makeBed('well', false);
  const everybody = [...beds.values(), well];
  const profiles = new Map(everybody.flatMap((bed) => [...bed.profiles, bed.spare].map((profile) => [profile, bed.issuer.issuer.url] as const)));
  const laptop = new Laptop(build, person, '', { profiles, top: '[limits]\nrequests_per_second = 10000\nburst = 100000\nconnections_per_process = 1000' });
  await laptop.start();
  for (const profile of profiles.keys()) {
    const signedIn = await laptop.signIn(profile);
    must(signedIn.state === 'complete', `the sign-in of ${profile}`, signedIn);
  }
  return {
    laptop, beds, well,
    async leave() {
      await laptop.remove();
      for (const { issuer, door } of everybody) {
        await door?.leave();
        await issuer.close();
      }
    },
  };
}

/** @param atOnce - all grants are asked for in the first moment; else one each second, in turn */
export async function layLow({ laptop, beds, well }: Ward, sickS: number, atOnce: boolean): Promise<{ readonly courses: readonly Course[]; readonly wellSlowestMs: number; readonly wellAsked: number }> {
  const ask = async (profile: string): Promise<ApiReply & { readonly ms: number }> => {
    const began = performance.now();
    const reply = await laptop.api('POST', '/v1/token', { profile, force: true });
    return { ...reply, ms: performance.now() - began };
  };
  for (const [sickness, bed] of beds) await sickness.fall(bed);
  const courses = new Map<Sickness, Course>([...beds].map(([sickness]) => [sickness, { sickness: sickness.name, asked: 0, sent: 0, lost: 0, recoveryMs: 0, slowestMs: 0, codes: {} }]));
  const before = new Map([...beds].map(([sickness, { issuer: { shim } }]) => [sickness, shim.requests('token').length]));
  const under: Promise<void>[] = [];
  const note = async (course: Course, profile: string): Promise<void> => {
    const { status, body, ms } = await ask(profile);
    const code = status === 200 ? 'token' : String(body.code);
    course.asked += 1;
    course.codes[code] = (course.codes[code] ?? 0) + 1;
    course.slowestMs = Math.max(course.slowestMs, ms);
  };
  let wellSlowestMs = 0;
  let wellAsked = 0;
  const askTheWell = async (): Promise<void> => {
    const { status, ms, text } = await ask(well.profiles[wellAsked % well.profiles.length] ?? '');
    wellAsked += 1;
    must(status === 200, 'an issuer that is well is served', text);
    wellSlowestMs = Math.max(wellSlowestMs, ms);
  };
  for (let second = 0; second < sickS; second += 1) {
    for (const [sickness, { profiles }] of beds) {
      const course = courses.get(sickness);
      const now = atOnce && second === 0 ? profiles : [profiles[second % profiles.length] ?? ''];
      if (course !== undefined) under.push(...now.map((profile) => note(course, profile)));
    }
    for (let i = 0; i < 4; i += 1) {
      under.push(askTheWell());
      await sleep(250);
    }
  }
  for (const [sickness, bed] of beds) {
    const course = courses.get(sickness);
    if (course !== undefined) course.sent = bed.issuer.shim.requests('token').length - (before.get(sickness) ?? 0);
    await sickness.rise(bed);
  }
  await Promise.all([...beds].map(async ([sickness, { spare }]) => {
    const course = courses.get(sickness);
    if (course !== undefined) course.recoveryMs = await untilServed(ask, spare);
  }));
  await Promise.all(under);
  for (const [sickness, { profiles }] of beds) {
    const course = courses.get(sickness);
    for (const profile of profiles) {
      const { body, text, status } = await settled(ask, profile);
      if (status === 200 || course === undefined) continue;
      must(body.code === 'login_required' && body.reason === 'refresh_answer_lost', `${sickness.name}: what is lost is told as lost`, text);
      course.lost += 1;
    }
  }
  return { courses: [...courses.values()], wellSlowestMs, wellAsked };
}

type Ask = (profile: string) => Promise<ApiReply>;
const WELL_AGAIN_MS = 90_000;

/** Somebody asks every second: until the first that is given a token. */
async function untilServed(ask: Ask, profile: string): Promise<number> {
  const began = performance.now();
  let servedMs: number | null = null;
  while (servedMs === null) {
    must(performance.now() - began < WELL_AGAIN_MS, 'an issuer that is well again is used again', profile);
    void ask(profile).then(({ status }) => { if (status === 200) servedMs ??= performance.now() - began; });
    await sleep(1_000);
  }
  return servedMs;
}

async function settled(ask: Ask, profile: string): Promise<ApiReply> {
  for (let i = 0; ; i += 1) {
    const reply = await ask(profile);
    if (reply.body?.code !== 'issuer_unreachable' || i === 40) return reply;
    await sleep(1_000);
  }
}
