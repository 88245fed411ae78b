/**
 * Credential plugins of Kubernetes (client-authentication(v1), "client-go credential plugins"): the question stands in
 * KUBERNETES_EXEC_INFO, the answer is an ExecCredential on standard output, of the version that was asked in. What is
 * given has an end, so that kubectl asks again; kubectl keeps it in memory alone.
 */
import { isJsonObject, parseJsonObject } from '../../shared/json-object.ts';
import type { JsonObject } from '../../shared/json-object.ts';
import type { PrintedFacts } from '../format-token.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const VERSIONS: readonly string[] = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

export type KubectlAsk = {
  readonly apiVersion: string;
  /** Of the API server. */
  readonly origin: string;
};

function refuse(detail: string, hint: string): never {
  throw ValetkeyError.local('bad_request', detail, { hint });
}

/** @throws ValetkeyError bad_request for a question that says not where the token goes, or that a server goes unchecked */
export function readKubectlAsk(text: string | undefined): KubectlAsk {
  if (text === undefined || text === '') refuse('KUBERNETES_EXEC_INFO is not set', 'kubectl calls this by itself: see docs/credentials.md');
  const asked = parseJsonObject(text);
  const apiVersion = asked?.['apiVersion'];
  if (asked === null || typeof apiVersion !== 'string' || !VERSIONS.includes(apiVersion) || asked['kind'] !== 'ExecCredential') {
    refuse('KUBERNETES_EXEC_INFO holds no ExecCredential of a version that is known', `In the kubeconfig, for the exec of the user: apiVersion: ${VERSIONS[0]}`);
  }
  const spec = asked['spec'];
  const cluster = isJsonObject(spec) ? spec['cluster'] : null;
  // Without it nobody knows where kubectl sends the token, and a kubeconfig may name any server beside any user.
  if (!isJsonObject(cluster)) refuse('kubectl does not say for which cluster it asks', 'In the kubeconfig, for the exec of the user: provideClusterInfo: true');
  if (cluster['insecure-skip-tls-verify'] === true) refuse('the kubeconfig lets anybody stand in for the API server', 'For the cluster, name the certificate-authority in place of insecure-skip-tls-verify');
  return { apiVersion, origin: originOf(cluster) };
}

function originOf({ server }: JsonObject): string {
  if (typeof server !== 'string' || !URL.canParse(server)) refuse('kubectl names no server that is a URL', 'See which cluster it is: kubectl config view --minify');
  return new URL(server).origin;
}

export function answerKubectl({ apiVersion }: KubectlAsk, token: PrintedFacts): string {
  const expirationTimestamp = new Date(token.expires_at * 1000).toISOString().replace('.000Z', 'Z');
  return `${JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { expirationTimestamp, token: token.access_token } })}\n`;
}
