import { expect, it } from 'vitest';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { Fingerprints } from '../../../../daemon/core/fingerprints.ts';
import { grantFacts } from '../../../../daemon/core/grant-facts.ts';
import { newSeed, SealedAuditKeys } from '../../../../daemon/vault/audit-keys.ts';
import { someGrant } from '../../../support/builders.ts';

it('[AL-01] names the account by a fingerprint, and goes without where a lock has just taken its key', () => {
  const fingerprints = new Fingerprints();
  const keys = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
  fingerprints.useKeys(keys);
  expect(grantFacts(someGrant(), fingerprints)).toMatchObject({ flow: 'authorization_code', account: expect.stringMatching(/^[\w-]{22}$/) as string });
  fingerprints.useKeys({
    kid: keys.kid, publicKey: keys.publicKey, isLasting: true, last: null, sign: () => '', remember: async () => undefined,
    fingerprint: () => { throw new BrokerError('vault_locked', 'the key is gone'); },
  });
  expect(grantFacts(someGrant(), fingerprints)).toMatchObject({ flow: 'authorization_code', account: null });
});
