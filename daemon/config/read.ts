/**
 * Reads config.toml into an immutable Config, or says with file, line and column what is wrong with it. A
 * missing file is an empty configuration. The file decides where refresh tokens go, so one that another
 * user owns or could change is refused before a word of it counts.
 */
import { TomlError } from 'smol-toml';
import type { TomlTableWithoutBigInt } from 'smol-toml';
import * as v from 'valibot';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Config, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';
import { isFault } from './fault.ts';
import type { Fault } from './fault.ts';
import { readProfile, refuseForeign, resolvePath } from './read-profile.ts';
import type { ProfileDeps } from './read-profile.ts';
import { CONFIG_KEYS, CONFIG_VERSION, TABLES } from './schema.ts';
import { isTable, shapeFault, unknownKey } from './shape.ts';
import { readWorkloads } from './read-workload.ts';
import { positionOf } from './statements.ts';
import { parseToml } from './toml.ts';
import { issuerProblem } from './urls.ts';

export type ConfigDeps = ProfileDeps & { readonly file: string; readonly now: EpochMs };

/** Throws BrokerError config_invalid, config_untrusted or file_too_new. */
export async function readConfig(deps: ConfigDeps): Promise<Config> {
  const read = await deps.readFile(deps.file);
  if (read !== null) refuseForeign(deps.file, read, deps.uid === null ? null : [deps.uid]);
  const text = read?.text ?? '';
  const document = parseDocument(deps.file, text);
  const config = structureFault(document) ?? (await configOf(deps, document));
  if (isFault(config)) throw faultError(config, deps.file, text);
  return config;
}

/** @param text - of the file, to find the line; null where the fault is in a table that came by another way. */
export function faultError({ path, problem, hint }: Fault, file: string | null, text: string | null): BrokerError {
  // The key itself; where it is missing, the table that lacks it.
  const position = text === null ? null : path.map((_, i) => positionOf(text, path.slice(0, path.length - i))).find((found) => found !== null);
  const at = position === undefined || position === null ? '' : `:${position.line}:${position.column}`;
  const where = path.length > 1 ? ` in [${cleanText(path.slice(0, -1).join('.'), 120)}]` : '';
  const message = `"${cleanText(path.at(-1) ?? '', 80)}"${where} ${problem}`;
  return new BrokerError('config_invalid', file === null ? message : `${file}${at}: ${message}`, hint === undefined ? {} : { hint });
}

function parseDocument(file: string, text: string): TomlTableWithoutBigInt {
  let document;
  try {
    document = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // A newer version may use what this parser does not know, so its number is looked for all the same.
    const version = /^\s*v\s*=\s*(\d+)/m.exec(text.split(/^\s*\[/m)[0] ?? '')?.[1];
    if (version !== undefined) refuseNewer(file, Number(version));
    // The first line alone: the rest quotes the file, and with it whatever secret stands there.
    const problem = cleanText((error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', ''));
    throw new BrokerError('config_invalid', `${file}:${error.line}:${error.column}: ${problem}`);
  }
  if (typeof document['v'] === 'number') refuseNewer(file, document['v']);
  return document;
}

function refuseNewer(file: string, version: number): void {
  if (version <= CONFIG_VERSION) return;
  throw new BrokerError('file_too_new', `${file} has version ${version}; this build reads version ${CONFIG_VERSION}`);
}

/** What can be told without looking into the profiles. */
function structureFault(document: TomlTableWithoutBigInt): Fault | null {
  const unknown = unknownKey(document, CONFIG_KEYS[''], []);
  if (unknown !== null) return unknown;
  if (document['v'] !== undefined && document['v'] !== CONFIG_VERSION) return { path: ['v'], problem: `must be ${CONFIG_VERSION}` };
  for (const key of ['profiles', 'workloads']) {
    if (document[key] !== undefined && !isTable(document[key])) return { path: [key], problem: `must be tables: [${key}.NAME]` };
  }
  for (const [name, schema] of Object.entries(TABLES)) {
    const fault = document[name] === undefined ? null : shapeFault(schema, document[name], [name]);
    if (fault !== null) return fault;
  }
  return null;
}

async function configOf(deps: ConfigDeps, document: TomlTableWithoutBigInt): Promise<Config | Fault> {
  const profiles = new Map<ProfileName, Profile>();
  for (const [written, table] of Object.entries(isTable(document['profiles']) ? document['profiles'] : {})) {
    const profile = await readProfile(deps, written, table);
    if (isFault(profile)) return profile;
    profiles.set(profile.name, profile);
  }
  const workloads = await readWorkloads(deps, document['workloads'], profiles);
  if (isFault(workloads)) return workloads;
  const device = v.parse(TABLES.device, document['device'] ?? {});
  const vault = v.parse(TABLES.vault, document['vault'] ?? {});
  const log = v.parse(TABLES.log, document['log'] ?? {});
  const limits = v.parse(TABLES.limits, document['limits'] ?? {});
  const notifications = v.parse(TABLES.notifications, document['notifications'] ?? {});
  const logFile = log.file === undefined ? null : resolvePath(log.file, deps.home, ['log', 'file']);
  if (logFile !== null && typeof logFile !== 'string') return logFile;
  const deviceIssuers = device.issuers ?? [];
  const problem = deviceIssuers.map((issuer) => issuerProblem(issuer, true)).find((found) => found !== null);
  if (problem !== undefined) return { path: ['device', 'issuers'], problem: `holds an entry that ${problem}` };
  return Object.freeze({
    file: deps.file,
    loadedAt: deps.now,
    profiles,
    workloads,
    deviceIssuers: Object.freeze([...deviceIssuers]),
    vault: Object.freeze({ backend: vault.backend ?? 'auto' }),
    log: Object.freeze({ level: log.level ?? 'info', format: log.format ?? 'text', file: logFile }),
    limits: Object.freeze({
      requestsPerSecond: limits.requests_per_second ?? 200,
      burst: limits.burst ?? 1000,
      connectionsPerProcess: limits.connections_per_process ?? 64,
    }),
    notifications: Object.freeze({ desktop: notifications.desktop ?? true, sessionEndingS: notifications.session_ending_s ?? 900 }),
    warnings: Object.freeze(warningsOf([...profiles.values()], deviceIssuers)),
  });
}

function warningsOf(profiles: readonly Profile[], deviceIssuers: readonly string[]): string[] {
  return [
    ...profiles
      .filter(({ flow, issuer }) => flow === 'device' && !deviceIssuers.includes(issuer))
      .map(({ name, issuer }) => `profile ${name} prefers the device flow, but [device] issuers does not list ${issuer}`),
    ...deviceIssuers
      .filter((issuer) => profiles.every((profile) => profile.issuer !== issuer))
      .map((issuer) => `[device] issuers lists ${cleanText(issuer)}, which no profile uses`),
  ];
}
