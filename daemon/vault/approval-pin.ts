/**
 * The PIN by which a person agrees to privileged access (IP-10): scrypt of it, sealed with the vault. It is short,
 * so what keeps it from being guessed is that a wrong one counts, before it is looked at and across restarts: after
 * three of them one has to wait, each time twice as long. Who can read the vault's key can guess at leisure.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import type { EpochMs } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { ApprovalPins as Pins } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { Turns } from './turns.ts';

/** What is sealed. `wrong` are those since the last right one, the newest at `wrongAt`. */
export type PinRecord = { readonly pin: 'scrypt'; readonly N: number; readonly salt: string; readonly hash: string; readonly wrong: number; readonly wrongAt: number };

export type PinStore = { read(): Promise<PinRecord | null>; write(record: PinRecord | null): Promise<void> };

const COST = 2 ** 15;
const BYTES = 32;
/** NIST SP 800-63B-4, section 3.1.1.2, asks 8 of a password and allows 6 where wrong ones are slowed. */
const LENGTH_MIN = 6;
const FREE_TRIES = 3;
const WAIT_FIRST_MS = 30_000;
const WAIT_MAX_MS = 3_600_000;

export class ApprovalPins implements Pins {
  readonly #now: () => EpochMs;
  readonly #store: () => Promise<PinStore>;
  /** Two that are tried at once would count as one. */
  readonly #turns = new Turns();

  constructor(now: () => EpochMs, store: () => Promise<PinStore>) {
    this.#now = now;
    this.#store = store;
  }

  async isSet(): Promise<boolean> {
    return await (await this.#store()).read() !== null;
  }

  set(pin: Secret | null, old: Secret | null): Promise<void> {
    return this.#turns.run('pin', async () => {
      const store = await this.#store();
      const record = await store.read();
      if (pin !== null && [...pin.reveal()].length < LENGTH_MIN) throw new BrokerError('bad_request', `an approval PIN has at least ${LENGTH_MIN} characters`, { hint: 'Choose a longer one' });
      if (record !== null) {
        if (old === null) throw new BrokerError('pin_wrong', 'an approval PIN is set already, and was not given', { hint: 'Run: valetkey approvals pin change' });
        await this.#prove(store, record, old);
      } else if (pin === null) throw notSet();
      await store.write(pin === null ? null : await recordOf(pin));
    });
  }

  prove(pin: Secret): Promise<void> {
    return this.#turns.run('pin', async () => {
      const store = await this.#store();
      const record = await store.read();
      if (record === null) throw notSet();
      await this.#prove(store, record, pin);
    });
  }

  async #prove(store: PinStore, record: PinRecord, pin: Secret): Promise<void> {
    const now = this.#now();
    const waitMs = record.wrong < FREE_TRIES ? 0 : Math.min(WAIT_FIRST_MS * 2 ** (record.wrong - FREE_TRIES), WAIT_MAX_MS);
    // A clock that was set back does not make anybody wait longer than that.
    const leftMs = Math.min(record.wrongAt + waitMs - now, waitMs);
    if (leftMs > 0) {
      const seconds = Math.ceil(leftMs / 1000);
      throw new BrokerError('too_many_requests', `${record.wrong} wrong approval PINs were given; the next try is in ${seconds} s`, { hint: `Wait ${seconds} s`, retryAfterS: seconds });
    }
    // Counted first: whoever ends the daemon meanwhile has used the try up.
    await store.write({ ...record, wrong: record.wrong + 1, wrongAt: now });
    const hash = await derive(pin, record.salt, record.N);
    if (!timingSafeEqual(hash, Buffer.from(record.hash, 'base64url'))) throw new BrokerError('pin_wrong', 'the approval PIN is wrong');
    await store.write({ ...record, wrong: 0 });
  }
}

function notSet(): BrokerError {
  return new BrokerError('pin_required', 'privileged access is agreed to with an approval PIN, and none is set');
}

async function recordOf(pin: Secret): Promise<PinRecord> {
  const salt = randomBytes(16).toString('base64url');
  return { pin: 'scrypt', N: COST, salt, hash: (await derive(pin, salt, COST)).toString('base64url'), wrong: 0, wrongAt: 0 };
}

function derive(pin: Secret, salt: string, N: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(pin.reveal().normalize('NFC'), Buffer.from(salt, 'base64url'), BYTES, { N, r: 8, p: 1, maxmem: 256 * N * 8 }, (failed, derived) => {
      if (failed === null) resolve(derived);
      else reject(failed);
    });
  });
}
