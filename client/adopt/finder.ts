/**
 * A finder says, as data, where one tool keeps secrets in plain text, and what to do about them. It holds no code:
 * a tool is added by its paths, the format of its file, and pointers to what matters in it.
 *
 * Paths: `~` is the home directory, `${VAR:-default}` at the start is a variable of the environment, and a `*` in a
 * name stands for any characters but `/`.
 *
 * Pointers are JSON pointers (RFC 6901) in which one `*` of each key stands for any text. A label is a pointer with the
 * same stars, `{1}` for what the first star stands for, `{0}` for the last star of the path, or else plain text. A pointer that ends in `#claim` reads that
 * claim of a JWT. The pointer of a file that is nothing but the secret is empty.
 */
export type SecretKind = 'refresh_token' | 'access_token' | 'token' | 'password' | 'api_key' | 'client_secret';

export type Format = 'json' | 'yaml' | 'ini' | 'toml' | 'netrc' | 'urls' | 'sqlite' | 'text';

export type Mark = {
  readonly kind: SecretKind;
  readonly at: string;
  readonly issuer?: string;
  readonly client?: string;
  readonly account?: string;
};

export type Place = {
  readonly path: string;
  readonly format: Format;
  readonly marks: readonly Mark[];
};

/** What ends the old sign-in, once the tool works without it. */
export type End =
  /** The tool's own documented command, once for each finding; `{account}` and `{issuer}` are filled in. */
  | { readonly by: 'command'; readonly argv: readonly string[]; readonly revokes: boolean }
  /** The file holds nothing else, and the tool takes its absence as a sign-out. */
  | { readonly by: 'removal' }
  /** The file holds other things too, and no command takes the secret out of it. */
  | { readonly by: 'hand' };

export type Fix = {
  /** How the tool takes a token of Valetkey's; `{profile}` is filled in. */
  readonly use: string;
  readonly end: End;
};

export type Finder = {
  /** What `--fix` calls it. */
  readonly tool: string;
  readonly name: string;
  readonly places: readonly Place[];
  /** Null: the tool takes no token but its own. */
  readonly fix: Fix | null;
  /** What else helps: how the tool keeps its secret elsewhere, or how it is ended. */
  readonly advice: string;
  /** Where the tool's authors, or its source, say what is written here. */
  readonly sources: readonly string[];
};
