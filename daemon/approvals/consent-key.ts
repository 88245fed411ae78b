/**
 * What a consent is for, and to whom it was given. It is of one program (its file and its bytes, or its script),
 * one profile and resource, and no more scopes than were shown; and it holds for that program everywhere, in one
 * terminal session, or for one run.
 */
import { createHash } from 'node:crypto';
import type { ProfileName, Scope } from '../../shared/names.ts';
import type { ConsentBinding, KeptConsent, ProcessName } from '../core/consents.ts';
import type { Caller, Program } from '../core/domain.ts';
import { cleanText } from '../core/text.ts';

export type Wish = {
  readonly profile: ProfileName;
  readonly resource: string | null;
  /** Null: those of the profile. */
  readonly scopes: readonly Scope[] | null;
};

/** Names the program by what it is; with its bytes where they could be read. What `valetkey run` starts is asked about apart (`run`). */
export function programKey({ executable, script }: Program, agent: string | null, digest: string | null, run: string | null): string {
  return join([executable ?? '', digest ?? '', script ?? '', agent ?? '', ...(run === null ? [] : ['run', run])]);
}

/** A yes to this is none to the token. */
export function fetchKey(program: string): string {
  return join([program, 'fetch']);
}

/** What runs: the bytes of a program, and of the script that it interprets. */
export function bytesKey(executable: string | null, script: string): string {
  return `${executable ?? ''}/${script}`;
}

/** For people: the program that they think of, and not what it asked by. Of a script its folder as well, since many are called cli.js. */
export function programLabel({ origin: { program, run }, label, pid }: Caller): string {
  const { executable, script } = program;
  const path = script?.split('/').slice(-2).join('/') ?? executable?.slice(executable.lastIndexOf('/') + 1) ?? '';
  const name = path === '' ? label : `${cleanText(path, 60)} (pid ${pid})`;
  return run === null ? name : `${cleanText(run, 60)}, by valetkey run of ${name},`;
}

export function wishKey({ profile, resource, scopes }: Wish): string {
  return join([profile, resource ?? '', ...(scopes === null ? ['default'] : ['scopes', ...scopes.toSorted()])]);
}

/** The process that stands for the terminal session, or the run; null: this caller has none. */
export function holderOf(binding: Exclude<ConsentBinding, 'program'>, { origin, pid, startTime }: Caller): ProcessName | null {
  return binding === 'session' ? origin.sessionLeader : origin.agentProcess ?? { pid, startTime };
}

/** What this program asks is of where the consent holds. */
export function isWithin({ binding, holder }: Pick<KeptConsent, 'binding' | 'holder'>, asker: Caller): boolean {
  if (binding === 'program') return true;
  const now = holderOf(binding, asker);
  return now !== null && holder !== null && now.pid === holder.pid && now.startTime === holder.startTime;
}

function join(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
