/**
 * The shape of config.toml. Every table is strict. The allowed keys in error messages and the document's
 * test come from here, so that nothing can be configured which is not written down.
 */
import * as v from 'valibot';
import { profileTable } from '../../shared/profile-schemas.ts';
import { workloadTable } from '../../shared/workload-schemas.ts';

/** The version that this build writes and reads. */
export const CONFIG_VERSION = 1;

const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));

export const TABLES = {
  device: v.strictObject({ issuers: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(2048))), v.maxLength(64))) }),
  vault: v.strictObject({ backend: v.optional(v.picklist(['auto', 'keychain', 'passphrase', 'memory'])) }),
  log: v.strictObject({
    level: v.optional(v.picklist(['error', 'warn', 'info', 'debug'])),
    format: v.optional(v.picklist(['json', 'text'])),
    file: v.optional(v.pipe(v.string(), v.maxLength(4096))),
  }),
  limits: v.strictObject({
    requests_per_second: v.optional(whole(1, 10_000)),
    burst: v.optional(whole(1, 100_000)),
    connections_per_process: v.optional(whole(1, 1024)),
  }),
  notifications: v.strictObject({
    desktop: v.optional(v.boolean()),
    session_ending_s: v.optional(whole(0, 86_400)),
  }),
} as const;

/** Every key by its table, for messages and documents; `profiles.NAME` is one profile, `workloads.NAME` one of a workload. */
export const CONFIG_KEYS = {
  '': ['v', 'profiles', 'workloads', ...Object.keys(TABLES)],
  'profiles.NAME': Object.keys(profileTable.entries),
  'workloads.NAME': Object.keys(workloadTable.entries),
  device: Object.keys(TABLES.device.entries),
  vault: Object.keys(TABLES.vault.entries),
  log: Object.keys(TABLES.log.entries),
  limits: Object.keys(TABLES.limits.entries),
  notifications: Object.keys(TABLES.notifications.entries),
} as const;
