/**
 * The records of an open vault as sealed files under the state directory: grants/, revocations/, secrets/.
 * It lives as long as the daemon; the key comes with adopt() and goes with close(). What concerns one file
 * happens in the order in which it was asked for.
 */
import { join } from 'node:path';
import type { ProfileName } from '../../shared/names.ts';
import type { Grant, RefreshIntent, Revocation } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log, Random, StoredGrant, StoredGrants } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { newSeed, SealedAuditKeys } from './audit-keys.ts';
import type { KeptAuditKeys } from './audit-keys.ts';
import { ConsentFile } from './consent-file.ts';
import type { DataKey } from './data-key.ts';
import type { Floors } from './floors.ts';
import { eraseFolders, FOLDERS } from './folders.ts';
import { GrantFiles } from './grant-files.ts';
import { PinFile } from './pin-file.ts';
import {
  decodeAuditKeys, decodeRevocation, decodeSecret, encodeAuditKeys, encodeRevocation, encodeSecret, revocationBinding,
} from './records.ts';
import { plainBinding, seal } from './seal.ts';
import { assertFileName, SealedFolder } from './sealed-folder.ts';
import type { Decode } from './sealed-folder.ts';
import type { Store } from './store.ts';
import { Turns } from './turns.ts';
import { WorkloadFiles } from './workload-files.ts';

/** Beside client secrets, under a name that no profile has. */
const AUDIT_KEYS = '_audit';

export class SealedStore implements Store {
  readonly #stateDir: string;
  readonly #vault: string;
  readonly #log: Log;
  readonly #folders: Readonly<Record<(typeof FOLDERS)[number], SealedFolder>>;
  readonly #grants: GrantFiles;
  readonly pin: PinFile;
  readonly consents: ConsentFile;
  readonly #floors: Floors;
  readonly workloads: WorkloadFiles;
  readonly #turns = new Turns();
  /** Generations that are on the disk. */
  readonly #saved = new Map<ProfileName, number>();
  /** Refreshes on the wire, each with the key that its answer will be sealed with. */
  readonly #refreshing = new Map<ProfileName, DataKey>();
  /** Answers that the disk refused and that are kept in memory: what is on the disk is spent. */
  readonly #owed = new Set<ProfileName>();
  #key: DataKey | null = null;
  #auditKeys: SealedAuditKeys | null = null;

  constructor(stateDir: string, vault: string, { floors, ...deps }: { readonly log: Log; readonly random: Random; readonly floors: Floors }) {
    const folder = (name: string): SealedFolder => new SealedFolder({ dir: join(stateDir, name), ...deps });
    this.#stateDir = stateDir;
    this.#vault = vault;
    this.#log = deps.log;
    this.#floors = floors;
    this.#folders = { grants: folder('grants'), revocations: folder('revocations'), secrets: folder('secrets') };
    this.workloads = new WorkloadFiles(folder('workloads'), vault, this.#turns, () => this.#open());
    this.#grants = new GrantFiles(this.#folders.grants, vault, deps.log);
    this.pin = new PinFile({ folder: this.#folders.secrets, vault, turns: this.#turns, openKey: () => this.#open() });
    this.consents = new ConsentFile({ folder: this.#folders.secrets, vault, floors, key: () => this.#key, log: deps.log });
  }

  /**
   * Takes over a key that was proved to be this vault's.
   * @param floors - as the keychain keeps them, sealed; null: it does not
   */
  async adopt(key: DataKey, floors: string | null): Promise<void> {
    for (const name of FOLDERS) await this.#folders[name].prepare();
    await this.#floors.adopt(key, floors);
    this.#key?.close();
    this.#key = key;
  }

  close(): void {
    this.#key?.close();
    this.#key = null;
    this.#auditKeys?.close();
    this.#auditKeys = null;
  }

  settle(): Promise<void> {
    return this.#floors.flush();
  }

  isRefreshing(profile: ProfileName): boolean {
    return this.#refreshing.has(profile);
  }

  async grants(): Promise<StoredGrants> {
    const grants: StoredGrant[] = [];
    const newer: ProfileName[] = [];
    for (const profile of await this.#grants.profiles()) {
      const stored = await this.#inTurn('grants', profile, async () => {
        const dataKey = this.#open();
        return dataKey.use(async (key) => {
          const found = await this.#unlessNewer(this.#grants.read(key, profile));
          if (found !== 'newer' && found !== null) this.#noteSaved(found.grant, dataKey);
          return found;
        });
      });
      if (stored === 'newer') newer.push(profile);
      else if (stored !== null) grants.push(stored);
    }
    const corrupt = new Set([...newer, ...(await this.#grants.setAside())]);
    return { grants, corrupt: [...corrupt].sort(), floors: this.#floors.all() };
  }

  beginRefresh(profile: ProfileName, intent: RefreshIntent): Promise<void> {
    return this.#inTurn('grants', profile, async () => {
      const key = this.#open();
      await key.use(() => this.#grants.begin(profile, intent));
      if (this.#refreshing.has(profile)) return;
      key.hold();
      this.#refreshing.set(profile, key);
    });
  }

  abandonRefresh(profile: ProfileName): Promise<void> {
    return this.#inTurn('grants', profile, async () => {
      // The intent of the answer that is owed says alone that the token on the disk must not be sent (V2).
      if (this.#owed.has(profile)) return;
      await this.#grants.abandon(profile);
      this.#endRefresh(profile);
    });
  }

  save(grant: Grant): Promise<void> {
    const { profile } = grant;
    return this.#inTurn('grants', profile, async () => {
      const dataKey = this.#refreshing.get(profile) ?? this.#open();
      if (this.#refreshing.has(profile)) this.#owed.add(profile);
      await dataKey.use(async (key) => {
        await this.#grants.save(key, grant);
        this.#noteSaved(grant, dataKey);
      });
      this.#endRefresh(profile);
    });
  }

  remove(profile: ProfileName): Promise<void> {
    return this.#inTurn('grants', profile, async () => {
      await this.#grants.remove(profile);
      const generation = this.#saved.get(profile);
      this.#saved.delete(profile);
      // Above all that was ever on the disk: no backup brings it back, and the next sign-in starts there.
      if (generation !== undefined) this.#floors.raise(profile, generation + 1, this.#key);
      this.#endRefresh(profile);
    });
  }

  async revocations(): Promise<readonly Revocation[]> {
    const folder = this.#folders.revocations;
    const found: Revocation[] = [];
    for (const id of await folder.names()) {
      const revocation = await this.#unlessNewer(this.#read('revocations', id, (payload) => {
        const record = decodeRevocation(payload);
        return record === null ? null : { record, binding: { ...revocationBinding(this.#vault, record), name: id } };
      }));
      if (revocation !== null && revocation !== 'damaged' && revocation !== 'newer') found.push(revocation);
    }
    return found;
  }

  saveRevocation(revocation: Revocation): Promise<void> {
    return this.#inTurn('revocations', revocation.id, async () => {
      const sealed = await this.#open().use((key) => seal(key, revocationBinding(this.#vault, revocation), encodeRevocation(revocation)));
      await this.#folders.revocations.write(revocation.id, sealed);
    });
  }

  removeRevocation(id: string): Promise<void> {
    return this.#inTurn('revocations', id, () => this.#folders.revocations.remove(id));
  }

  async clientSecret(profile: ProfileName, digest: string): Promise<Secret | null> {
    const binding = plainBinding('client_secret', this.#vault, profile);
    const found = await this.#read('secrets', profile, (payload) => {
      const record = decodeSecret(payload);
      return record === null ? null : { record, binding };
    });
    if (found === 'damaged') {
      throw new BrokerError('vault_corrupt', `the client secret of ${profile} cannot be opened; it was set aside`, {
        hint: `Run: valetkey profile add ${profile} … --client-secret-stdin`,
      });
    }
    return found?.digest === digest ? found.secret : null;
  }

  saveClientSecret(profile: ProfileName, digest: string, secret: Secret): Promise<void> {
    return this.#inTurn('secrets', profile, async () => {
      const binding = plainBinding('client_secret', this.#vault, profile);
      const sealed = await this.#open().use((key) => seal(key, binding, encodeSecret({ digest, secret })));
      await this.#folders.secrets.write(profile, sealed);
    });
  }

  removeClientSecret(profile: ProfileName): Promise<void> {
    return this.#inTurn('secrets', profile, () => this.#folders.secrets.remove(profile));
  }

  /** What cannot be opened is set aside, and new keys take its place; what the disk refuses is kept in memory and saved later. */
  auditKeys(): Promise<SealedAuditKeys> {
    // Two that ask at once make one.
    return this.#turns.run('audit keys', async () => (this.#auditKeys ??= await this.#openAuditKeys()));
  }

  async #openAuditKeys(): Promise<SealedAuditKeys> {
    const found = await this.#read('secrets', AUDIT_KEYS, (payload) => {
      const record = decodeAuditKeys(payload);
      return record === null ? null : { record, binding: plainBinding('audit', this.#vault, AUDIT_KEYS) };
    });
    const isKept = found !== 'damaged' && found !== null;
    const kept: KeptAuditKeys = isKept ? found : { seed: newSeed(), last: null };
    const keys = new SealedAuditKeys(kept, (next) => this.#saveAuditKeys(next));
    if (!isKept) {
      this.#log.info('audit_keys_made', { kid: keys.kid, replaces_damaged: found === 'damaged' });
      await this.#saveAuditKeys(kept).catch((cause: unknown) => {
        if (!(cause instanceof BrokerError) || cause.code !== 'vault_unwritable') throw cause;
        this.#log.warn('audit_keys_not_saved', { why: cause.message });
      });
    }
    this.#open(); // not where it was locked meanwhile
    return keys;
  }

  takeAuditKeys(kept: KeptAuditKeys): Promise<void> {
    return this.#saveAuditKeys(kept);
  }

  #saveAuditKeys(kept: KeptAuditKeys): Promise<void> {
    return this.#inTurn('secrets', AUDIT_KEYS, async () => {
      const sealed = await this.#open().use((key) => seal(key, plainBinding('audit', this.#vault, AUDIT_KEYS), encodeAuditKeys(kept)));
      await this.#folders.secrets.write(AUDIT_KEYS, sealed);
    });
  }

  /** Forgets the key at once and removes every file, when what was under way is done. */
  async erase(): Promise<void> {
    this.close();
    await this.#turns.idle();
    await this.#floors.stop();
    for (const profile of [...this.#refreshing.keys()]) this.#endRefresh(profile);
    await eraseFolders(this.#stateDir);
  }

  /** V8: it is on the disk. */
  #noteSaved({ profile, generation }: Grant, key: DataKey): void {
    this.#saved.set(profile, generation);
    this.#floors.raise(profile, generation, key);
  }

  #open(): DataKey {
    if (this.#key === null) throw new BrokerError('vault_locked', 'the vault is locked');
    return this.#key;
  }

  /** A file of a newer version is left as it is, and does not keep the others from being read. */
  async #unlessNewer<T>(reading: Promise<T>): Promise<T | 'newer'> {
    try {
      return await reading;
    } catch (cause) {
      if (!(cause instanceof BrokerError) || cause.code !== 'file_too_new') throw cause;
      this.#log.error('file_too_new', { why: cause.message });
      return 'newer';
    }
  }

  #endRefresh(profile: ProfileName): void {
    this.#refreshing.get(profile)?.release();
    this.#refreshing.delete(profile);
    this.#owed.delete(profile);
  }

  async #read<T>(where: 'revocations' | 'secrets', name: string, decode: Decode<T>): Promise<T | 'damaged' | null> {
    return this.#inTurn(where, name, async () => {
      const folder = this.#folders[where];
      const found = await this.#open().use((key) => folder.read(key, name, decode));
      if (found.kind === 'absent') return null;
      if (found.kind === 'open') return found.record;
      await folder.setAside(name);
      return 'damaged';
    });
  }

  async #inTurn<T>(where: (typeof FOLDERS)[number], name: string, work: () => Promise<T>): Promise<T> {
    assertFileName(name);
    return this.#turns.run(`${where}/${name}`, work);
  }
}
