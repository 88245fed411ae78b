/** A policy that stands in no place yet, as it goes to the daemon: in one piece, so what is too long for that is told here. */
import { DRAFT_MAX } from '../shared/policy-schemas.ts';
import type { PolicyExplainRequest } from '../shared/policy-schemas.ts';
import { readText } from './read-text.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** As JSON, where a quote takes two bytes; beside the rest of a request of 64 KiB. */
const WIRE_MAX = 61_440;

export type Draft = NonNullable<PolicyExplainRequest['draft']>;

/** @throws ValetkeyError bad_request where it cannot be read, or is too long */
export async function readDraft(file: string, admin: true | undefined): Promise<Draft> {
  const text = await readText(file);
  if (text.length > DRAFT_MAX || Buffer.byteLength(JSON.stringify(text)) > WIRE_MAX) {
    throw ValetkeyError.local('bad_request', `${file} has ${Buffer.byteLength(text)} bytes: a draft is checked up to 56 KiB, less where it is full of quotes; a policy in its place may have 1 MiB`, {
      hint: 'Shorten it, or put it in its place and run: valetkey policy check',
    });
  }
  return { source: admin === true ? 'admin' : 'user', text };
}
