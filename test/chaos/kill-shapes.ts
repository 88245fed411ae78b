/**
 * Authorization servers by what they do with a refresh token that they have replaced: oidc-provider as it is, and
 * as others are. What the daemon may lose differs with it.
 */
import type { IssuerOptions } from '../../demo/issuer.ts';

/** How an authorization server treats a refresh token that it has replaced, and what the profile says of it. */
export type Shape = {
  readonly name: string;
  readonly issuer: IssuerOptions;
  /** More lines of the profile. */
  readonly more: string;
  /** The shim refuses a second use itself, so that the family lives. */
  readonly refusesReused: boolean;
  /** A token that was used may be used again, and the daemon knows it: no lost answer costs a sign-in. */
  readonly losesNothing: boolean;
};

export const STRICT: Shape = { name: 'rotation, a second use ends the family', issuer: {}, more: '', refusesReused: false, losesNothing: false };

export const SHAPES: readonly Shape[] = [
  STRICT,
  { name: 'rotation with a grace', issuer: { reuseGraceS: 3_600 }, more: 'refresh_grace_s = 3600', refusesReused: false, losesNothing: true },
  { name: 'rotation with a grace that the profile does not know', issuer: { reuseGraceS: 3_600 }, more: '', refusesReused: false, losesNothing: false },
  { name: 'rotation, a second use is not noticed', issuer: { reuseGraceS: Infinity }, more: '', refusesReused: false, losesNothing: false },
  { name: 'rotation, a second use is refused and the family lives', issuer: {}, more: '', refusesReused: true, losesNothing: false },
  { name: 'no rotation', issuer: { rotateRefreshTokens: false }, more: '', refusesReused: false, losesNothing: true },
];
