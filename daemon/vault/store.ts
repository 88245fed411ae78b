import type { ProfileName } from '../../shared/names.ts';
import type { Vault } from '../core/ports.ts';
import type { WorkloadStore } from '../core/workload.ts';
import type { PinStore } from './approval-pin.ts';

/** An open vault's records, wherever they are. */
export type Store = Omit<Vault, 'status' | 'unlock' | 'lock' | 'end' | 'dropKept' | 'erase' | 'pins' | 'workloads'> & {
  readonly workloads: WorkloadStore;
  readonly pin: PinStore;
  /** A refresh is on the wire: its answer must be saved, whatever happens to the vault meanwhile. */
  isRefreshing(profile: ProfileName): boolean;
  /** Forgets the key, as soon as no refresh is on the wire. */
  close(): void;
};
