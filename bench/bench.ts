/** What a scene gets: everything that runs, and how long it may take. */
import type { Broker } from './broker.ts';
import type { ChildProcess } from 'node:child_process';
import type { Comparison } from './comparison.ts';
import type { Peers } from './peers.ts';
import type { Programs } from './programs.ts';
import type { Stage } from './stage.ts';

/** Rounds take turns with those of the others; the longer ones show what the machine does besides. */
export type Effort = {
  readonly rounds: number;
  readonly seconds: number;
  /** Of a whole process. */
  readonly times: number;
  readonly millions: number;
};

export const FULL: Effort = { rounds: 9, seconds: 1.5, times: 101, millions: 1 };
export const QUICK: Effort = { rounds: 3, seconds: 0.4, times: 11, millions: 0.1 };

export type Bench = {
  readonly stage: Stage;
  readonly node: string;
  readonly effort: Effort;
  readonly programs: Programs;
  readonly issuer: { readonly process: ChildProcess; readonly url: string };
  readonly broker: Broker;
  readonly peers: Peers;
  /** Sockets of the bare servers. */
  readonly bare: { readonly line: string; readonly linePid: number; readonly fastify: string };
  readonly say: (text: string) => void;
};

export type Scene = {
  readonly name: string;
  readonly title: string;
  readonly isCharted: boolean;
  run(bench: Bench): Promise<readonly Comparison[]>;
};

export const NO_LINES = 'line dialect not spoken by this daemon';
export const NO_OIDC_AGENT = 'oidc-agent is not installed';
