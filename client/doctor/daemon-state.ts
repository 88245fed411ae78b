/** The daemon: does it start and answer, is it of this build, did it read the configuration, is the vault open. */
import { statSync } from 'node:fs';
import type { StatusReply } from '../../shared/schemas.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import { count } from '../time-words.ts';
import { failure, ok, warning } from './finding.ts';
import type { Finding } from './finding.ts';
import { ValetkeyError } from '../valetkey-error.ts';

// When this was written: a clock before it is wrong, and every token would look as if it lived for years.
const EARLIEST_NOW = Date.UTC(2026, 10, 1) / 1000;

export function checkClock(now: number, startedAt: number | null): Finding {
  const why = 'Tokens would be kept after their end, or thrown away before it';
  if (now < EARLIEST_NOW) return failure('clock', `the clock says ${new Date(now * 1000).toISOString()}`, why, 'timedatectl set-ntp true');
  if (startedAt !== null && startedAt > now + 5) return warning('clock', 'the daemon was started in the future: the clock was set back', why, 'valetkey daemon stop');
  return ok('clock', 'the clock is plausible');
}

/** A start or a request that failed is itself the finding. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof ValetkeyError)) throw error;
  // A hint is a sentence: it may hold a command, but is none that could be pasted.
  return { ...failure('daemon', `${error.detail} (${error.code})`, error.title, null), advice: error.hint };
}

function checkVault({ vault, locked }: StatusReply): Finding {
  const words = `the vault is ${vault.backend}, ${vault.state}${vault.detail === '' ? '' : `: ${vault.detail}`}`;
  if (locked) return warning('vault', 'the vault was locked by valetkey lock', 'Nothing is handed out', 'valetkey unlock');
  // What to do depends on why it is closed: the words say it.
  if (vault.state === 'unavailable') return failure('vault', words, 'No grant can be read or saved', null);
  if (vault.state === 'locked') return warning('vault', words, 'Nothing is handed out', null);
  if (vault.backend === 'memory') return warning('vault', words, 'Every sign-in ends with the daemon', 'valetkey unlock --create');
  return ok('vault', words);
}

function checkConfig({ config }: StatusReply): Finding {
  const changed = statSync(config.file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Math.floor(changed / 1000) > config.loaded_at
    ? warning('config', `${config.file} was changed after the daemon read it`, 'The daemon still works by the old one', 'valetkey daemon reload')
    : ok('config', `${config.file}: ${count(config.profiles, 'profile')}`);
}

/** Beyond this, tokens look older or younger than they are; ID tokens are let pass within five minutes. */
const SKEW_S = 60;

function checkIssuers({ issuers }: StatusReply): readonly Finding[] {
  return issuers.flatMap(({ issuer, skew_s: skew, failing_since: since, cause }) => [
    ...(since === null ? [] : [warning('issuer', `${issuer} has failed since ${new Date(since * 1000).toISOString().slice(0, 19)}Z (${cause ?? 'unknown'})`, 'No token is refreshed there; those that live are handed out', null)]),
    ...(skew === null ? [] : [Math.abs(skew) <= SKEW_S
      ? ok('issuer', `${issuer}: its clock and this one agree (${skew} s)`)
      : warning('clock', `the clock of ${issuer} is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} this machine's`, 'One of the two is wrong: sign-ins may be refused as too old or not yet valid', 'timedatectl set-ntp true')]),
  ]);
}

export function checkStatus(status: StatusReply): readonly Finding[] {
  return [
    status.version === BUILD_VERSION
      ? ok('daemon', `it answers, pid ${status.pid}, version ${status.version}`)
      : warning('daemon', `it has version ${status.version}, this client ${BUILD_VERSION}`, 'What was mended in the newer one is not in effect', 'valetkey daemon stop'),
    checkConfig(status),
    checkVault(status),
    ...checkIssuers(status),
    ...status.warnings.map((text) => warning('daemon_warning', text, 'The daemon says so', null)),
  ];
}
