/**
 * Lock, unlock, reload, purge: the verbs that change the state of the whole daemon, each in one order.
 */
import type { ProfileName } from '../shared/names.ts';
import type { Caller } from './core/domain.ts';
import { BrokerError } from './core/errors.ts';
import type { Audit, ConfigStore, Issuer, Vault } from './core/ports.ts';
import { Secret } from './core/secret.ts';
import type { Logins } from './flows/logins.ts';
import type { Events, Facts, Lifecycle } from './ipc/routes/broker.ts';
import type { Grants } from './tokens/grant-book.ts';
import type { Revocations } from './tokens/revocations.ts';
import type { TokenSource } from './tokens/token-source.ts';

export type LifecycleDeps = {
  readonly facts: Facts;
  readonly vault: Vault;
  readonly book: Grants;
  readonly source: TokenSource;
  readonly logins: Logins;
  readonly revocations: Revocations;
  readonly config: ConfigStore;
  readonly issuer: Issuer;
  readonly audit: Audit;
  readonly events: Events;
  readonly shutdown: (reason: string) => void;
};

export function createLifecycle(deps: LifecycleDeps): Lifecycle {
  const { vault, book, source, logins, revocations, config, audit, events } = deps;
  let locked = false;
  const note = (event: 'locked' | 'unlocked' | 'config_reloaded' | 'purged', caller: Caller | null, facts: Readonly<Record<string, unknown>>): Promise<void> =>
    audit.append({ event, profile: null, caller, request: null, facts });

  async function ensureOpen(): Promise<void> {
    if (locked) throw new BrokerError('vault_locked', 'the user locked the broker');
    await book.load();
  }

  return {
    facts: deps.facts,
    get locked() {
      return locked;
    },
    ensureOpen,
    async lock(caller) {
      locked = true;
      await logins.stop(new BrokerError('vault_locked', 'the user locked the broker'));
      // A refresh on the wire is finished and saved before the key goes.
      await source.idle();
      if (vault.status().backend !== 'memory') {
        vault.lock();
        book.forget();
      }
      await note('locked', caller, {});
      events.emit('locked', null, null);
    },
    async unlock(caller, passphrase, create) {
      await vault.unlock(passphrase === null ? null : new Secret(passphrase), create);
      locked = false;
      await ensureOpen();
      await revocations.load();
      await note('unlocked', caller, { backend: vault.status().backend });
      events.emit('unlocked', null, null);
    },
    async reload(caller: Caller | null): Promise<readonly ProfileName[]> {
      const { changed } = await config.reload();
      await note('config_reloaded', caller, { profiles: config.current().profiles.size, changed });
      events.emit('config_reloaded', null, changed.join(' '));
      return changed;
    },
    async purge(caller) {
      await ensureOpen();
      await logins.stop(new BrokerError('login_cancelled', 'everything is being removed'));
      await source.idle();
      for (const grant of book.list()) {
        await book.take(grant.profile);
        await revocations.revokeGrant(grant, config.current().profiles.get(grant.profile) ?? null);
      }
      await vault.erase();
      book.forget();
      await note('purged', caller, {});
    },
    shutdown: deps.shutdown,
  };
}
