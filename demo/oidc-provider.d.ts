/**
 * The entry file of oidc-provider prints a warning on Node 20 before it does anything else, and offers no
 * way to turn that off; the modules beside it do not. The types know the entry file only.
 */
declare module 'oidc-provider/lib/provider.js' {
  export { default as Provider } from 'oidc-provider';
}

declare module 'oidc-provider/lib/helpers/errors.js' {
  import type { errors } from 'oidc-provider';
  export const InvalidTarget: typeof errors.InvalidTarget;
  export const InvalidClientAuth: typeof errors.InvalidClientAuth;
}
