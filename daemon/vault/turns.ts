/** Work of one key runs in the order in which it was asked for; keys do not wait for each other. */
export class Turns {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#tails.get(key) ?? Promise.resolve()).then(work);
    // The next in turn starts whatever became of this one; its failure belongs to its own caller.
    const tail = mine.then(() => undefined, () => undefined).then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    this.#tails.set(key, tail);
    return mine;
  }

  /** Resolves when everything that was asked for is done. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
