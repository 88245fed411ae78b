/** A server behind OAuth that nobody has configured yet, and a client for it: what is read is a stranger's, and checked. */
import type { Scope } from '../../shared/names.ts';
import type { IssuerConnection } from './domain.ts';
import type { Resources } from './resource-port.ts';

export type ProtectedResource = {
  /** As the server spells it. */
  readonly resource: string;
  readonly metadataUrl: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly Scope[];
  readonly scopesFrom: 'challenge' | 'metadata' | 'nobody';
};

export type Discovery = {
  /** @param expected - the identifier that its metadata has to name. Throws resource_metadata_invalid, resource_unreachable. */
  protectedResource(url: string, expected: string, connection: IssuerConnection): Promise<ProtectedResource>;
  /** A public client (MD-06). @returns its id. Throws registration_refused, resource_unreachable. */
  registerClient(endpoint: string, redirectUris: readonly string[], connection: IssuerConnection): Promise<string>;
  /** The document at `url` has to be of this client, public, and know a loopback redirect. @returns the path of that. Throws client_document_invalid, resource_unreachable. */
  clientDocument(url: string, connection: IssuerConnection): Promise<string>;
};

/** Servers that take tokens: those of profiles, and those that are to become one. */
export type ResourceServers = Resources & Discovery;
