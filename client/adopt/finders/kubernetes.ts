/** Kubernetes and what runs on it. */
import type { Finder } from '../finder.ts';

const EXEC = 'in the kubeconfig, user: exec: { apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, provideClusterInfo: true, command: valetkey, args: [credential, kubectl, --profile={profile}, --url=https://SERVER] }, with the host and port of the API server for SERVER';

export const KUBERNETES: readonly Finder[] = [
  {
    tool: 'kubelogin', name: 'kubelogin (kubectl oidc-login)',
    places: [{
      path: '~/.kube/cache/oidc-login/*', format: 'json',
      marks: [{ kind: 'refresh_token', at: '/refresh_token', issuer: '/id_token#iss', client: '/id_token#aud', account: '/id_token#sub' }],
    }],
    fix: {
      use: EXEC,
      end: { by: 'removal' },
    },
    advice: 'To keep its tokens in the keyring instead: --token-cache-storage=keyring',
    sources: ['https://github.com/int128/kubelogin/blob/master/pkg/tokencache/repository/repository.go', 'https://github.com/int128/kubelogin/blob/master/docs/usage.md'],
  },
  {
    tool: 'kubeconfig', name: 'kubectl, the old auth provider oidc',
    places: [{
      path: '${KUBECONFIG:-~/.kube/config}', format: 'yaml',
      marks: [{
        kind: 'refresh_token', at: '/users/*/user/auth-provider/config/refresh-token', issuer: '/users/*/user/auth-provider/config/idp-issuer-url',
        client: '/users/*/user/auth-provider/config/client-id', account: '/users/*/name',
      }],
    }],
    fix: {
      use: EXEC,
      end: { by: 'hand' },
    },
    advice: 'To take it away: kubectl config unset users.NAME.auth-provider',
    sources: ['https://github.com/kubernetes/client-go/blob/master/plugin/pkg/client/auth/oidc/oidc.go'],
  },
  {
    tool: 'argocd', name: 'Argo CD CLI',
    places: ['${ARGOCD_CONFIG_DIR:-${XDG_CONFIG_HOME:-~/.config}/argocd}', '~/.argocd'].map((folder) => ({
      path: `${folder}/config`, format: 'yaml',
      marks: [{ kind: 'refresh_token', at: '/users/*/refresh-token', issuer: '/users/*/name', account: '/users/*/auth-token#sub' }, { kind: 'access_token', at: '/users/*/auth-token', issuer: '/users/*/name', account: '/users/*/auth-token#sub' }],
    })),
    fix: {
      use: 'ARGOCD_AUTH_TOKEN="$(valetkey token {profile})" argocd …',
      end: { by: 'command', argv: ['argocd', 'logout', '{issuer}'], revokes: false },
    },
    advice: 'To sign out here: argocd logout',
    sources: ['https://github.com/argoproj/argo-cd/blob/master/util/localconfig/localconfig.go'],
  },
  {
    tool: 'terraform', name: 'Terraform CLI',
    places: [{ path: '~/.terraform.d/credentials.tfrc.json', format: 'json', marks: [{ kind: 'access_token', at: '/credentials/*/token', issuer: '{1}' }] }],
    fix: {
      use: 'TF_TOKEN_app_terraform_io="$(valetkey token {profile})" terraform …, with the host name, dots as underscores, after TF_TOKEN_',
      end: { by: 'command', argv: ['terraform', 'logout', '{issuer}'], revokes: false },
    },
    advice: 'To take it away here: terraform logout HOST. To end it: Tokens, in your settings at that host',
    sources: ['https://github.com/hashicorp/terraform/blob/main/internal/command/cliconfig/credentials.go'],
  },
  {
    tool: 'docker', name: 'Docker CLI',
    places: [{
      path: '${DOCKER_CONFIG:-~/.docker}/config.json', format: 'json',
      marks: [{ kind: 'password', at: '/auths/*/auth', issuer: '{1}', account: '/auths/*/username' }, { kind: 'refresh_token', at: '/auths/*/identitytoken', issuer: '{1}' }, { kind: 'access_token', at: '/auths/*/registrytoken', issuer: '{1}' }],
    }],
    fix: {
      use: 'valetkey token {profile} | docker login --username oauth2accesstoken --password-stdin REGISTRY, with the user name that the registry asks for; it is written to the file again unless credsStore is set',
      end: { by: 'command', argv: ['docker', 'logout', '{issuer}'], revokes: false },
    },
    advice: 'To keep it in the keychain: set credsStore in the file, and sign in again. To take it away: docker logout REGISTRY',
    sources: ['https://github.com/docker/cli/blob/master/cli/config/types/authconfig.go'],
  },
  {
    tool: 'podman', name: 'Podman, Buildah, Skopeo',
    places: ['${XDG_RUNTIME_DIR:-~/.config}/containers', '${XDG_CONFIG_HOME:-~/.config}/containers'].map((folder) => ({
      path: `${folder}/auth.json`, format: 'json', marks: [{ kind: 'password', at: '/auths/*/auth', issuer: '{1}' }, { kind: 'refresh_token', at: '/auths/*/identitytoken', issuer: '{1}' }],
    })),
    fix: {
      use: 'valetkey token {profile} | podman login --username oauth2accesstoken --password-stdin REGISTRY, with the user name that the registry asks for',
      end: { by: 'command', argv: ['podman', 'logout', '{issuer}'], revokes: false },
    },
    advice: 'To take it away: podman logout REGISTRY',
    sources: ['https://man.cx/containers-auth.json(5)'],
  },
];
