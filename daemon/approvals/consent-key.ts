/**
 * What a consent is for, and to whom it was given. It is of one program (its file and its bytes, or its script),
 * one profile and resource, and no more scopes than were shown; and it holds for that program everywhere, in one
 * terminal session, or for one run.
 */
import { createHash } from 'node:crypto';
import type { ProfileName, Scope } from '../../shared/names.ts';
import type { Caller, Program } from '../core/domain.ts';
import { cleanText } from '../core/text.ts';

/** `program`: wherever it runs. `session`: in this terminal session. `run`: this process, or the agent it belongs to. */
export type Binding = 'program' | 'session' | 'run';

export type Wish = {
  readonly profile: ProfileName;
  readonly resource: string | null;
  /** Null: those of the profile. */
  readonly scopes: readonly Scope[] | null;
};

/** Names the program by what it is; with its bytes where they could be read. */
export function programKey({ executable, script }: Program, agent: string | null, digest: string | null): string {
  return join([executable ?? '', digest ?? '', script ?? '', agent ?? '']);
}

/** What runs: the bytes of a program, and of the script that it interprets. */
export function bytesKey(executable: string | null, script: string): string {
  return `${executable ?? ''}/${script}`;
}

/** For people: the program that they think of, and not what it asked by. Of a script its folder as well, since many are called cli.js. */
export function programLabel({ origin: { program }, label, pid }: Caller): string {
  const { executable, script } = program;
  const path = script?.split('/').slice(-2).join('/') ?? executable?.slice(executable.lastIndexOf('/') + 1) ?? '';
  return path === '' ? label : `${cleanText(path, 60)} (pid ${pid})`;
}

export function wishKey({ profile, resource, scopes }: Wish): string {
  return join([profile, resource ?? '', ...(scopes === null ? ['default'] : ['scopes', ...scopes.toSorted()])]);
}

/** Null: this caller has nothing that the consent could be bound to. */
export function bindingKey(binding: Binding, party: Caller): string | null {
  switch (binding) {
    case 'program':
      return 'anywhere';
    case 'session': {
      const leader = party.origin.sessionLeader;
      return leader === null ? null : join([String(leader.pid), leader.startTime]);
    }
    case 'run': {
      const run = party.origin.agentProcess ?? party;
      return join([String(run.pid), run.startTime]);
    }
  }
}

function join(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
