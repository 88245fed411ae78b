/**
 * The state of one embedded issuer, in memory: oidc-provider's storage interface and nothing else. Its own
 * memory adapter warns on every start and is shared by all issuers of a process; this one is neither.
 * Clients are looked up here too, so that one can be registered while the issuer runs.
 */
import type { Adapter, AdapterPayload, ClientMetadata } from 'oidc-provider';

export type IssuerStorage = {
  readonly adapter: (model: string) => Adapter;
  readonly clients: Map<string, ClientMetadata>;
  /** Ends every grant of this account with all its tokens; returns how many there were. */
  revokeGrantsOf(accountId: string): Promise<number>;
};

export type StorageRules = {
  /** Seconds in which a refresh token that was used works once more. */
  readonly reuseGraceS: number;
  /** A new access token of a grant ends those that came before. */
  readonly endsOlderTokens: boolean;
};

export function createIssuerStorage({ reuseGraceS, endsOlderTokens }: StorageRules): IssuerStorage {
  const records = new Map<string, AdapterPayload>();
  const keysOfGrant = new Map<string, Set<string>>();
  const keyOfUid = new Map<string, string>();
  const keyOfUserCode = new Map<string, string>();
  const clients = new Map<string, ClientMetadata>();

  const adapter = (model: string): Adapter => {
    const key = (id: string): string => `${model}:${id}`;
    const record = (at: string | undefined): AdapterPayload | undefined => (at === undefined ? undefined : records.get(at));
    return {
      async upsert(id, payload) {
        if (model === 'Client') clients.set(id, payload as ClientMetadata);
        records.set(key(id), payload);
        if (payload.grantId !== undefined && model !== 'Grant' && model !== 'Interaction') {
          const keys = keysOfGrant.get(payload.grantId) ?? new Set();
          if (endsOlderTokens && model === 'AccessToken') {
            for (const older of keys) if (older.startsWith('AccessToken:')) records.delete(older);
          }
          keysOfGrant.set(payload.grantId, keys.add(key(id)));
        }
        if (model === 'Session' && payload.uid !== undefined) keyOfUid.set(payload.uid, key(id));
        if (payload.userCode !== undefined) keyOfUserCode.set(payload.userCode, key(id));
      },
      async find(id) {
        if (model === 'Client') return clients.get(id);
        const found = records.get(key(id));
        const consumed = model === 'RefreshToken' && typeof found?.consumed === 'number' ? found.consumed : null;
        return consumed === null || Date.now() / 1000 - consumed >= reuseGraceS ? found : { ...found, consumed: undefined };
      },
      async findByUid(uid) {
        return record(keyOfUid.get(uid));
      },
      async findByUserCode(userCode) {
        return record(keyOfUserCode.get(userCode));
      },
      async consume(id) {
        const found = records.get(key(id));
        if (found !== undefined) records.set(key(id), { ...found, consumed: Math.floor(Date.now() / 1000) });
      },
      async destroy(id) {
        records.delete(key(id));
      },
      async revokeByGrantId(grantId) {
        for (const each of keysOfGrant.get(grantId) ?? []) records.delete(each);
        keysOfGrant.delete(grantId);
      },
    };
  };
  const revokeGrantsOf = async (accountId: string): Promise<number> => {
    const grants = [...records].filter(([key, record]) => key.startsWith('Grant:') && record.accountId === accountId);
    for (const [key] of grants) {
      records.delete(key);
      await adapter('Grant').revokeByGrantId(key.slice('Grant:'.length));
    }
    return grants.length;
  };
  return { adapter, clients, revokeGrantsOf };
}
