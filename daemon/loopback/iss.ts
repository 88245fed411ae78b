/**
 * Who answered: the `iss` parameter of an authorization response against the issuer that was asked
 * (RFC 9207, section 2.4). A client that talks to several authorization servers is open to mix-up without it.
 */
export type ExpectedIssuer = {
  readonly issuer: string;
  /** The server's metadata says authorization_response_iss_parameter_supported. */
  readonly required: boolean;
};

/**
 * | advertised | present | holds            |
 * | ---------- | ------- | ---------------- |
 * | yes        | yes     | if it is equal   |
 * | yes        | no      | never            |
 * | no         | yes     | if it is equal   |
 * | no         | no      | always           |
 *
 * Simple string comparison (RFC 3986, section 6.2.1): no case folding, no slash is added or taken away.
 */
export function issHolds(iss: string | null, expected: ExpectedIssuer): boolean {
  return iss === null ? !expected.required : iss === expected.issuer;
}
