/**
 * A passphrase instead of a keychain: scrypt derives a key that wraps the random data key, so that the
 * passphrase can be changed without sealing every file again. Attempts run one after the other, and each wrong
 * one makes the next wait longer, a minute at most: whoever forgot nothing must get in. They are not counted across
 * restarts: who can start a daemon can read vault.json, and guess there as fast as scrypt lets him.
 */
import { randomBytes, scrypt } from 'node:crypto';
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { DataKey, KEY_BYTES } from './data-key.ts';
import { plainBinding, seal, unseal } from './seal.ts';
import type { ScryptParameters, VaultHeader } from './vault-header.ts';

/** N as OWASP's password storage sheet and ST-02 have it: 128 MiB and some 0.3 s an attempt. */
const COST = { N: 2 ** 17, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
/** NIST SP 800-63B-4, section 3.1.1.2, for a secret that is one of two factors; the files are the other. */
const LENGTH_MIN = 8;
const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 60_000;
/** So much of it before the answer, which a client expects within 10 s; for the rest every attempt is refused untried. */
const ANSWER_MAX_MS = 8_000;
/** Each waiting attempt holds a passphrase. */
const WAITING_MAX = 4;

type PassphraseKeyed = Extract<VaultHeader['keyedBy'], { backend: 'passphrase' }>;

export class Passphrases {
  readonly #clock: Clock;
  #wrong = 0;
  #notBeforeMs = 0;
  #waiting = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Wraps `key`. Throws bad_request for a passphrase that is too short to be one. */
  async wrap(key: DataKey, passphrase: Secret, vault: string): Promise<PassphraseKeyed> {
    if (passphrase.reveal().length < LENGTH_MIN) {
      throw new BrokerError('bad_request', `a passphrase has at least ${LENGTH_MIN} characters`, { hint: 'Choose a longer one' });
    }
    const parameters: ScryptParameters = { ...COST, salt: randomBytes(SALT_BYTES).toString('base64url') };
    const wrapping = await derive(passphrase, parameters);
    const wrapped = await wrapping.use((kek) => key.use((bytes) => seal(kek, plainBinding('key', vault, 'data'), Buffer.from(bytes))));
    wrapping.close();
    return { backend: 'passphrase', scrypt: parameters, wrapped };
  }

  /** The data key. Throws passphrase_wrong, after a delay that grows; too_many_requests. */
  unwrap(passphrase: Secret, { id, keyedBy }: { readonly id: string; readonly keyedBy: PassphraseKeyed }, path: string): Promise<DataKey> {
    if (this.#waiting >= WAITING_MAX) {
      return Promise.reject(new BrokerError('too_many_requests', 'other passphrases are being tried', { hint: 'Wait, and try again', retryAfterS: 10 }));
    }
    this.#waiting += 1;
    const attempt = this.#tail.then(() => this.#attempt(passphrase, id, keyedBy, path)).finally(() => {
      this.#waiting -= 1;
    });
    this.#tail = attempt.then(() => undefined, () => undefined);
    return attempt;
  }

  async #attempt(passphrase: Secret, vault: string, keyedBy: PassphraseKeyed, path: string): Promise<DataKey> {
    const waitS = Math.ceil((this.#notBeforeMs - this.#clock.boottimeMs()) / 1000);
    if (waitS > 0) {
      throw new BrokerError('too_many_requests', `the passphrase was wrong ${this.#wrong} times; the next try waits`, { hint: `Wait ${waitS} s, then run: valetkey unlock`, retryAfterS: waitS });
    }
    const wrapping = await derive(passphrase, keyedBy.scrypt);
    const opened = await wrapping.use((kek) => unseal(kek, keyedBy.wrapped, path));
    wrapping.close();
    if (opened?.isBoundTo(plainBinding('key', vault, 'data')) === true && opened.payload.length === KEY_BYTES) {
      this.#wrong = 0;
      return new DataKey(Buffer.from(opened.payload.buffer, opened.payload.byteOffset, KEY_BYTES));
    }
    const pauseMs = Math.min(PAUSE_FIRST_MS * 2 ** Math.min(this.#wrong, 16), PAUSE_MAX_MS);
    this.#wrong += 1;
    this.#notBeforeMs = this.#clock.boottimeMs() + pauseMs;
    await this.#clock.sleep(Math.min(pauseMs, ANSWER_MAX_MS), new AbortController().signal);
    throw new BrokerError('passphrase_wrong', 'the passphrase is wrong', {
      hint: 'Run: valetkey unlock; if it is forgotten: valetkey purge, and sign in again',
    });
  }
}

function derive(passphrase: Secret, { N, r, p, salt }: ScryptParameters): Promise<DataKey> {
  return new Promise((resolve, reject) => {
    // Twice what it needs (128 * N * r * p): Node's own limit of 32 MiB would refuse.
    const options = { N, r, p, maxmem: 256 * N * r * p };
    scrypt(passphrase.reveal().normalize('NFC'), Buffer.from(salt, 'base64url'), KEY_BYTES, options, (failed, derived) => {
      if (failed === null) resolve(new DataKey(derived));
      else reject(failed);
    });
  });
}
