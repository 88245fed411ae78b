/**
 * The kill campaign: the built daemon dies at a labelled step, is started again, and is judged by the issuer's
 * ledger and by the files. Each scene is first played to its end, which tells the labels that it passes.
 */
import { verifyAudit } from '../../client/audit/verify-log.ts';
import { auditPath } from '../../daemon/audit/open-audit.ts';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiReply } from '../support/api.ts';
import type { FaultAction, FaultBuild, FaultPlan } from '../support/fault-build.ts';
import { pick, replay, seeded, shuffled } from './campaign.ts';
import { corrupt, leftovers } from '../support/state-files.ts';
import { isUnsent, SCENES } from './kill-scenes.ts';
import type { Scene, Stage } from './kill-scenes.ts';
import { STRICT } from './kill-shapes.ts';
import type { Shape } from './kill-shapes.ts';
import { Ledger } from '../support/ledger.ts';
import { Laptop, startShimmed } from './rig.ts';
import type { KeyPlace, Person } from './rig.ts';

export type KillPlan = { readonly run: number; readonly scene: Scene; readonly fault: FaultPlan | null; readonly again: FaultPlan | null };

export type Tally = {
  runs: number;
  kills: number;
  /** Label -> how often it was killed there. */
  readonly killedAt: Map<string, number>;
  /** Label -> scene -> how often it is passed in one run of the scene. */
  readonly passed: Map<string, Map<string, number>>;
  lostAnswers: number;
  /** The intent was there, the token not yet sent. */
  unsentIntents: number;
  signInsNeeded: number;
  signInsWished: number;
  /** Of each start after a kill, until it answered. */
  readonly startsMs: number[];
  refreshes: number;
  reuses: number;
  alarms: number;
};

export function newTally(): Tally {
  return { runs: 0, kills: 0, killedAt: new Map(), passed: new Map(), lostAnswers: 0, unsentIntents: 0, signInsNeeded: 0, signInsWished: 0, startsMs: [], refreshes: 0, reuses: 0, alarms: 0 };
}

/** Of one run: the scene's own, one to look, one after a sign-in, and the sign-in itself. */
const REQUESTS_MAX = 6;
const REVOKED_WITHIN_MS = 20_000;
const RUN_MAX_MS = 90_000;

/** One laptop and one issuer; plans are played on it one after the other. */
export class Lane {
  readonly #build: FaultBuild;
  readonly #person: Person;
  readonly #tally: Tally;
  readonly #shape: Shape;
  readonly #key: KeyPlace;
  #stage: (Stage & { readonly ledger: Ledger }) | null = null;

  constructor(build: FaultBuild, person: Person, tally: Tally, shape: Shape = STRICT, key: KeyPlace = 'file') {
    this.#build = build;
    this.#person = person;
    this.#tally = tally;
    this.#shape = shape;
    this.#key = key;
  }

  /** A run that hangs fails like any other, and says where. */
  async play(plan: KillPlan): Promise<void> {
    const over = new AbortController();
    const late = sleep(RUN_MAX_MS, undefined, { signal: over.signal }).then(
      () => { throw new Error(`${plan.scene.name}, ${plan.fault?.label ?? 'without a fault'}: it hangs\n  ${replay('kill', plan.run)}`); },
      () => undefined, // the run was over first
    );
    try {
      await Promise.race([this.#play(plan), late]);
    } finally {
      over.abort();
    }
  }

  async #play(plan: KillPlan): Promise<void> {
    const { scene, fault } = plan;
    const stage = await this.#ready(scene.isFirst === true);
    const { laptop, issuer, ledger } = stage;
    const complain = (what: string): never => {
      const where = fault === null ? 'without a fault' : `${fault.action} at ${fault.label} (hit ${fault.nth})${plan.again === null ? '' : `, then at ${plan.again.label}`}`;
      throw new Error(`${scene.name}, ${where}: ${what}\n  ${replay('kill', plan.run)}\n  the issuer saw: ${ledger.story()}; the shim: ${issuer.shim.requests('token').slice(-4).map((each) => `${each.harm} ${String(each.status)} ${String(each.delivered)}`).join(', ')}\n${laptop.said(30)}`);
    };
    const before = { reuses: ledger.reuses(), alarms: ledger.alarms(), corrupt: corrupt(laptop.stateDir).length };
    await scene.prepare(stage);
    laptop.hits();
    ledger.mark();
    if (fault === null) laptop.desk.disarm();
    else laptop.desk.arm(fault);
    const died = laptop.running?.exited;
    const result = await scene.act(stage).then((value) => value, () => null); // its connection breaks
    const isMeant = (): boolean => fault !== null && seen.some((hit) => hit.action !== null);
    let seen = laptop.hits();
    if (fault !== null && !isMeant()) {
      // What is written behind the answer (audit, tombstones) may come a moment later.
      for (let i = 0; i < 60 && !isMeant(); i += 1) {
        await sleep(25);
        seen = [...seen, ...laptop.hits()];
      }
    }
    const wasHit = isMeant();
    if (fault === null) this.#note(scene, seen);
    else if (wasHit) {
      const { running } = laptop;
      await (running?.exited ?? died);
      this.#tally.kills += 1;
      this.#tally.killedAt.set(fault.label, (this.#tally.killedAt.get(fault.label) ?? 0) + 1);
    }
    laptop.desk.disarm();
    issuer.shim.clear();
    await issuer.shim.up().catch(() => undefined); // it was never down
    await sleep(2);
    const consumed = ledger.consumed();
    const label = wasHit && fault !== null ? fault.label : null;
    if (laptop.exposed().length > 0) complain(`others may read ${laptop.exposed().join(', ')}`);

    if (plan.again !== null) await this.#dieAgain(laptop, plan.again);
    const isUp = label === null && laptop.running !== null && laptop.running.child.exitCode === null && laptop.running.child.signalCode === null;
    if (!isUp) {
      const ms = await laptop.start();
      if (ms === null) complain(`it does not start again: ${laptop.running?.stderr() ?? ''}`);
      this.#tally.startsMs.push(ms ?? 0);
    }
    const strictly = scene.expect(label, consumed, isComplete(result));
    const expected = this.#shape.losesNothing && scene.isWished !== true ? 'token' : strictly;
    await this.#judge(stage, scene, label, expected, complain);
    if (laptop.exposed().length > 0) complain(`others may read ${laptop.exposed().join(', ')}`);
    const left = await lasting(leftovers(laptop.stateDir), () => leftovers(laptop.stateDir));
    if (left.length > 0) complain(`left behind: ${left.join(', ')}`);
    if (scene.damages !== true && corrupt(laptop.stateDir).length > before.corrupt) complain(`corrupt: ${corrupt(laptop.stateDir).join(', ')}`);
    if (ledger.asked() > REQUESTS_MAX) complain(`${ledger.asked()} requests to the token endpoint`);
    if (!this.#shape.losesNothing && ledger.reuses() > before.reuses) complain('a consumed refresh token was used again');
    if (ledger.alarms() > before.alarms) complain('the issuer raised its stolen-token alarm');
    this.#tally.runs += 1;
  }

  /** Lets go of everything and asks nothing. */
  async drop(): Promise<void> {
    const stage = this.#stage;
    this.#stage = null;
    await stage?.laptop.remove();
    await stage?.issuer.close();
  }

  async close(): Promise<void> {
    if (this.#stage === null) return;
    const { laptop, ledger } = this.#stage;
    this.#tally.refreshes += ledger.refreshes();
    this.#tally.reuses += ledger.reuses();
    this.#tally.alarms += ledger.alarms();
    await laptop.kill();
    const verdict = await verifyAudit(auditPath(join(laptop.stateDir, 'audit')));
    await this.drop();
    if (verdict.kind !== 'intact') throw new Error(`the audit log does not hold: line ${verdict.line}, ${verdict.why}`);
  }

  /** What the user finds, and what it takes to go on. */
  async #judge({ laptop, ledger, issuer }: Stage & { readonly ledger: Ledger }, scene: Scene, label: string | null, expected: string, complain: (what: string) => never): Promise<void> {
    const found = await this.#answered(laptop);
    if (found.status === 200) {
      if (expected === 'sign_in' && !scene.isWished) complain('a token came where the only refresh token was spent');
      if (expected === 'sign_in') complain('it serves what was signed out');
      return;
    }
    const code = found.body?.code;
    if (code !== 'login_required' && !(code === 'locked_out' && scene.name === 'panic')) complain(`it answers ${found.text}`);
    if (expected === 'token') complain(`a sign-in is asked for that was not needed: ${String(found.body?.detail)}`);
    if (scene.isWished === true) this.#tally.signInsWished += 1;
    else {
      this.#tally.signInsNeeded += 1;
      if (expected === 'sign_in') this.#tally.lostAnswers += 1;
      else if (label !== null && (isUnsent(label) || scene.name === 'refresh that cannot be sent')) this.#tally.unsentIntents += 1;
      else complain('a sign-in is asked for, and no answer was lost');
    }
    const asked = ledger.asked();
    for (let i = 0; i < 3; i += 1) if ((await laptop.token({ force: true })).body?.code !== code) complain('it changes its mind');
    if (ledger.asked() !== asked) complain('it asks the issuer again and again');
    if (scene.name.startsWith('sign-out') || scene.name === 'panic') await this.#isRevoked(issuer, ledger, complain);
    const signedIn = await laptop.signIn();
    if (signedIn.state !== 'complete') complain(`the sign-in failed: ${JSON.stringify(signedIn)}`);
    const after = await this.#answered(laptop);
    if (after.status !== 200) complain(`after one sign-in it still answers ${after.text}`);
  }

  /** An issuer that was down a moment ago is asked again after the back-off. */
  async #answered(laptop: Laptop): Promise<ApiReply> {
    for (let i = 0; ; i += 1) {
      const found = await laptop.token({ force: true });
      if (found.body?.code !== 'issuer_unreachable' || i === 8) return found;
      await sleep(500);
    }
  }

  /** What is forgotten here dies there, at once or from its tombstone. */
  async #isRevoked({ issuer }: Stage['issuer'], ledger: Ledger, complain: (what: string) => never): Promise<void> {
    const last = issuer.minted.filter(({ kind }) => kind === 'refresh_token').at(-1);
    if (last === undefined) return;
    const from = performance.now();
    while ((await issuer.introspect(last.value)).active) {
      if (performance.now() - from > REVOKED_WITHIN_MS) complain(`signed out here, and alive at the issuer (${ledger.refreshes()} refreshes)`);
      await sleep(50);
    }
  }

  async #dieAgain(laptop: Laptop, again: FaultPlan): Promise<void> {
    await laptop.kill(); // the first fault may not have been met
    laptop.desk.arm(again);
    if ((await laptop.start()) !== null) await laptop.token().catch(() => null); // its connection breaks
    await sleep(30);
    if (laptop.hits().some(({ action }) => action !== null)) {
      this.#tally.kills += 1;
      this.#tally.killedAt.set(again.label, (this.#tally.killedAt.get(again.label) ?? 0) + 1);
    }
    await laptop.kill();
    laptop.desk.disarm();
  }

  #note(scene: Scene, seen: readonly { readonly label: string; readonly nth: number }[]): void {
    for (const { label, nth } of seen) {
      // By the second of a timer, so by chance, but where the end makes sure of it: plans have to replay.
      if (/^audit\.(synced|head)/.test(label) && scene.name !== 'end by SIGTERM') continue;
      const scenes = this.#tally.passed.get(label) ?? new Map<string, number>();
      this.#tally.passed.set(label, scenes.set(scene.name, Math.max(nth, scenes.get(scene.name) ?? 0)));
    }
  }

  /** A laptop whose daemon runs with a grant that works; or one that was never used. */
  async #ready(isFirst: boolean): Promise<Stage & { readonly ledger: Ledger }> {
    if (this.#stage !== null && !isFirst) return this.#stage;
    await this.close();
    const issuer = await startShimmed(this.#shape.issuer);
    const laptop = new Laptop(this.#build, this.#person, issuer.issuer.url, { more: this.#shape.more, key: this.#key });
    issuer.shim.refusesReused = this.#shape.refusesReused;
    this.#stage = { laptop, issuer, ledger: new Ledger(issuer.issuer) };
    if (isFirst) return this.#stage;
    await laptop.start();
    const signedIn = await laptop.signIn();
    if (signedIn.state !== 'complete') throw new Error(`the first sign-in failed: ${JSON.stringify(signedIn)}`);
    // The first refresh shows whether this issuer rotates.
    await laptop.token({ force: true });
    return this.#stage;
  }
}

function isComplete(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'state' in result && result.state === 'complete';
}

/** Every scene once, without a fault. */
export function rehearsals(scenes: readonly string[] = SCENES.map(({ name }) => name)): readonly KillPlan[] {
  return SCENES.filter(({ name }) => scenes.includes(name)).map((scene, index) => ({ run: -1 - index, scene, fault: null, again: null }));
}

/** Labels that no scene passes: the proof has a hole there. */
export function unreached(labels: readonly string[], { passed }: Tally): readonly string[] {
  return labels.filter((label) => !passed.has(label));
}

const REFRESH = 'refresh';

/**
 * `count` plans. The first ones go through every label once, in an order that the seed gives; then scene, label
 * and hit are drawn. One in four dies a second time while it recovers.
 */
export function drawPlans(count: number, { passed }: Tally, scenes: readonly string[] = SCENES.map(({ name }) => name)): readonly KillPlan[] {
  const labels = [...passed].filter(([, inScenes]) => scenes.some((name) => inScenes.has(name))).map(([label]) => label).toSorted();
  const inTurn = shuffled(seeded(0, 1), labels);
  const inRefresh = labels.filter((label) => passed.get(label)?.has(REFRESH) === true);
  const atStart = labels.filter((label) => /^(lock|audit\.append|vault\.(folder|promote|remove|answer)|book)\./.test(label));
  return Array.from({ length: count }, (_, run) => {
    const random = seeded(run);
    // Most die in a refresh: that is where a sign-in can be lost.
    const label = inTurn[run] ?? pick(random, random() < 0.6 ? inRefresh : labels);
    const isRefresh = inTurn[run] === undefined && inRefresh.includes(label);
    const [sceneName, times] = isRefresh ? [REFRESH, passed.get(label)?.get(REFRESH) ?? 1] : pick(random, [...(passed.get(label) ?? [])].filter(([name]) => scenes.includes(name)));
    const scene = SCENES.find(({ name }) => name === sceneName);
    if (scene === undefined) throw new Error(`there is no scene ${sceneName}`);
    const action: FaultAction = label === 'vault.answer.opened' || label === 'vault.write.opened' ? pick(random, ['kill', 'tear']) : 'kill';
    const again = random() < 0.25 ? { label: pick(random, atStart), nth: 1, action: 'kill' as const } : null;
    return { run, scene, fault: { label, nth: 1 + Math.floor(random() * times), action }, again };
  });
}

/** A file that the daemon writes just now is not left behind: what is there after it had time for it is. */
async function lasting(found: readonly string[], look: () => readonly string[]): Promise<readonly string[]> {
  if (found.length === 0) return found;
  await sleep(1_000);
  const now = look();
  return found.filter((name) => now.includes(name));
}
