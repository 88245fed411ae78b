/**
 * Reads one cookie. Browsers keep cookies of 127.0.0.1 apart by host and path, not by port: those of every
 * other local server come along and are none of ours.
 */

/** Null where the name is missing or comes twice (another local server may have planted the second). */
export function readCookie(headers: readonly string[], name: string): string | null {
  const values = headers
    .flatMap((header) => header.split(';'))
    .flatMap((pair) => {
      const at = pair.indexOf('=');
      return at > 0 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : [];
    });
  const [value] = values;
  return value === undefined || values.length > 1 ? null : value;
}
