/**
 * Grants as files, and the refreshes that are on the wire. NAME.jwe is the grant. NAME.next is written and
 * synced before a refresh token is sent: it says so, and holds the space that the answer will need. The answer
 * is then sealed into that very file, which is renamed over NAME.jwe. So:
 *
 * V1  After a crash at any instruction NAME.jwe is one whole generation, the old or the new.
 * V2  A refresh token that was sent and whose answer is not in NAME.jwe has a NAME.next.
 * V3  A disk that fills up between sending and saving cannot refuse the answer.
 */
import { join } from 'node:path';
import { parseProfileName } from '../../shared/names.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Grant, RefreshIntent } from '../core/domain.ts';
import type { Log, StoredGrant } from '../core/ports.ts';
import { onDisk, removeDurable, sizeOf, writeReserved } from './private-files.ts';
import { decodeGrant, encodeGrant, grantBinding } from './records.ts';
import { refuseNewer, seal, SEAL_VERSION } from './seal.ts';
import type { Decode, SealedFolder } from './sealed-folder.ts';

/** A generation grows when an issuer adds claims or scopes; twice the last one and never less than this. */
const RESERVE_MIN = 16 * 1024;
const NEXT = '.next';

export class GrantFiles {
  readonly #folder: SealedFolder;
  readonly #vault: string;
  readonly #log: Log;

  constructor(folder: SealedFolder, vault: string, log: Log) {
    this.#folder = folder;
    this.#vault = vault;
    this.#log = log;
  }

  /** Profiles with a grant, or with a saved generation that was not moved to its place. */
  async profiles(): Promise<readonly ProfileName[]> {
    const names = new Set([...(await this.#folder.names()), ...(await this.#folder.names(NEXT))]);
    return [...names].sort().flatMap((name) => parseProfileName(name) ?? []);
  }

  /** Profiles whose grant was set aside and not replaced since. */
  async setAside(): Promise<readonly ProfileName[]> {
    const live = new Set<string>(await this.#folder.names());
    return (await this.#folder.setAsideNames()).filter((name) => !live.has(name)).flatMap((name) => parseProfileName(name) ?? []);
  }

  /** Null where there is none, or what is there was set aside. */
  async read(key: Uint8Array, profile: ProfileName): Promise<StoredGrant | null> {
    const current = await this.#folder.read(key, profile, this.#decode(profile));
    const grant = current.kind === 'open' ? current.record : null;
    const next = await this.#readNext(key, profile, grant?.generation ?? null);
    if (current.kind === 'damaged') await this.#folder.setAside(profile);
    if (next?.kind === 'saved') {
      // The crash came between the write and the rename, or before the file was cut to its size and synced.
      // @fault vault.promote.found
      await this.#moveNext(profile, next.text);
      // @fault vault.promote.moved
      this.#log.info('vault_generation_promoted', { profile, generation: next.grant.generation });
      return { grant: next.grant, intent: null };
    }
    return grant === null ? null : { grant, intent: next?.intent ?? null };
  }

  async begin(profile: ProfileName, intent: RefreshIntent): Promise<void> {
    const [current, earlier] = await onDisk(this.#folder.dir, () => Promise.all([`${profile}.jwe`, nextName(profile)].map((file) => sizeOf(join(this.#folder.dir, file)))));
    const size = Math.max(RESERVE_MIN, 2 * (current ?? 0));
    // Spaces: what is not written over by the answer is cut off, or trimmed by who reads after a crash.
    const text = JSON.stringify({ v: SEAL_VERSION, ...intent }).padEnd(size, ' ');
    // @fault vault.begin.read
    await onDisk(this.#folder.dir, async () => {
      try {
        await this.#folder.writeFile(nextName(profile), text);
      } catch (cause) {
        // Nothing was sent: an intent that stayed behind would read as a lost answer. An earlier one has its reason.
        if (earlier === null) await removeDurable(this.#folder.dir, [nextName(profile)]);
        throw cause;
      }
    });
  }

  abandon(profile: ProfileName): Promise<void> {
    return onDisk(this.#folder.dir, () => removeDurable(this.#folder.dir, [nextName(profile)]));
  }

  async save(key: Uint8Array, grant: Grant): Promise<void> {
    const sealed = await seal(key, grantBinding(this.#vault, grant), encodeGrant(grant));
    // @fault vault.save.sealed
    if (!(await this.#moveNext(grant.profile, sealed))) await this.#folder.write(grant.profile, sealed);
  }

  /** NAME.next goes first: alone it would come back as a grant at the next start. */
  remove(profile: ProfileName): Promise<void> {
    return this.#folder.remove(profile, [nextName(profile)]);
  }

  /** False where there is no NAME.next. */
  #moveNext(profile: ProfileName, sealed: string): Promise<boolean> {
    const { dir } = this.#folder;
    return onDisk(dir, () => writeReserved(dir, nextName(profile), `${profile}.jwe`, Buffer.from(sealed, 'latin1')));
  }

  async #readNext(key: Uint8Array, profile: ProfileName, generation: number | null): Promise<
    { readonly kind: 'saved'; readonly grant: Grant; readonly text: string } | { readonly kind: 'intent'; readonly intent: RefreshIntent } | null
  > {
    const file = nextName(profile);
    const found = await this.#folder.readBytes(file);
    if (found === null) return null;
    const text = found.text.trimEnd();
    const opened = await this.#folder.open(key, file, text, this.#decode(profile));
    if (opened.kind === 'open' && opened.record.generation > (generation ?? 0)) return { kind: 'saved', grant: opened.record, text };
    const sent = readSent(text, join(this.#folder.dir, file)) ?? { at: Math.trunc(found.changedAt) as EpochMs, boottime: null };
    return { kind: 'intent', intent: { generation: generation ?? 0, ...sent } };
  }

  #decode(profile: ProfileName): Decode<Grant> {
    return (payload) => {
      const grant = decodeGrant(payload);
      return grant === null ? null : { record: grant, binding: { ...grantBinding(this.#vault, grant), name: profile } };
    };
  }
}

function nextName(profile: ProfileName): string {
  return `${profile}${NEXT}`;
}

/** When the intent was written; null where it is torn or something else. */
function readSent(text: string, path: string): Pick<RefreshIntent, 'at' | 'boottime'> | null {
  try {
    const intent: unknown = JSON.parse(text);
    if (typeof intent !== 'object' || intent === null) return null;
    if ('v' in intent) refuseNewer(intent.v, path);
    if (!('at' in intent) || typeof intent.at !== 'number') return null;
    return { at: intent.at as EpochMs, boottime: 'boottime' in intent ? readBoottime(intent.boottime) : null };
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}

function readBoottime(value: unknown): RefreshIntent['boottime'] {
  if (typeof value !== 'object' || value === null || !('bootId' in value) || !('ms' in value)) return null;
  return typeof value.bootId === 'string' && typeof value.ms === 'number' ? { bootId: value.bootId, ms: value.ms } : null;
}
