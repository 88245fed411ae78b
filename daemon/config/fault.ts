/**
 * What is wrong with the configuration: the path of the key and a sentence that begins after the key. It
 * never quotes a value, which might be a secret that somebody put in the wrong place.
 */
export type Fault = {
  readonly path: readonly string[];
  readonly problem: string;
  /** The one next step, where it is another than mending the line. */
  readonly hint?: string;
};

export function isFault(value: object): value is Fault {
  return 'problem' in value;
}
