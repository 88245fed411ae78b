/** Major version of the wire protocol: both ends must agree on it. */
export const PROTOCOL_VERSION = 1;

/** Version of this build; a test holds it equal to package.json. */
export const BUILD_VERSION = '0.1.0';

/** Reply header with the protocol version. */
export const PROTOCOL_HEADER = 'valetkey-protocol';
/** Reply header with the build version. */
export const BUILD_HEADER = 'valetkey-build';
