/**
 * The two classes of the Fetch standard that openid-client makes and is answered with, as far as it uses them.
 * Node's own come with the whole of its fetch(), 10 MB and 20 ms at their first mention, and nothing here
 * fetches by it: requests go out by http.ts. The bundle puts these in their place (scripts/build-daemon.mjs).
 */

type Fields = Readonly<Record<string, string>> | Headers;

/** https://fetch.spec.whatwg.org/#headers-class; what goes out is checked by node:http, what comes in is ours. */
export class Headers {
  readonly #fields = new Map<string, string>();

  constructor(fields: Fields = {}) {
    for (const [name, value] of fields instanceof Headers ? fields.entries() : Object.entries(fields)) this.append(name, value);
  }

  get(name: string): string | null {
    return this.#fields.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }

  set(name: string, value: string): void {
    this.#fields.set(name.toLowerCase(), value.trim());
  }

  append(name: string, value: string): void {
    const before = this.get(name);
    this.set(name, before === null ? value : `${before}, ${value.trim()}`);
  }

  delete(name: string): void {
    this.#fields.delete(name.toLowerCase());
  }

  /** In the order of their names. */
  entries(): IterableIterator<[string, string]> {
    return [...this.#fields].sort(([a], [b]) => (a < b ? -1 : 1)).values();
  }

  get [Symbol.toStringTag](): string {
    return 'Headers';
  }
}

type Init = { readonly status?: number; readonly headers?: Fields };

/** https://fetch.spec.whatwg.org/#response-class, of a body that is here already. */
export class Response {
  readonly status: number;
  readonly headers: Headers;
  /** No stream: what is not read holds nothing. */
  readonly body = null;
  readonly #text: string;
  #isUsed = false;

  constructor(body: string | null, { status = 200, headers = {} }: Init = {}) {
    this.#text = body ?? '';
    this.status = status;
    this.headers = new Headers(headers);
  }

  static json(data: unknown, init: Init = {}): Response {
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(data), { ...init, headers });
  }

  get bodyUsed(): boolean {
    return this.#isUsed;
  }

  clone(): Response {
    if (this.#isUsed) throw new TypeError('the body was read already');
    return new Response(this.#text, this);
  }

  async text(): Promise<string> {
    if (this.#isUsed) throw new TypeError('the body was read already');
    this.#isUsed = true;
    return this.#text;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  get [Symbol.toStringTag](): string {
    return 'Response';
  }
}
