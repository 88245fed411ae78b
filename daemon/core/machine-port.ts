/** What is asked of this machine beside the daemon's work: what it costs, and whether the keychain can be used. */

export type Load = {
  readonly residentBytes: number;
  readonly cpuS: number;
  /** How late the event loop was since the look before; null where nobody looked before. */
  readonly loopDelay: { readonly meanS: number; readonly p99S: number; readonly maxS: number } | null;
};

/** What became of an item of no value that was stored in the keychain, read back and removed: how far it came. */
export type KeychainTrial = 'works' | 'unloadable' | 'absent' | 'frozen' | 'locked' | 'refused';
