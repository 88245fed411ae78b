/** Forges and git. */
import type { Finder } from '../finder.ts';

export const FORGES: readonly Finder[] = [
  {
    tool: 'gh', name: 'GitHub CLI',
    places: [{
      path: '${GH_CONFIG_DIR:-${XDG_CONFIG_HOME:-~/.config}/gh}/hosts.yml', format: 'yaml',
      marks: [{ kind: 'access_token', at: '/*/users/*/oauth_token', issuer: '{1}', account: '{2}' }, { kind: 'access_token', at: '/*/oauth_token', issuer: '{1}', account: '/*/user' }],
    }],
    fix: {
      use: 'GH_TOKEN="$(valetkey token {profile})" gh …',
      end: { by: 'command', argv: ['gh', 'auth', 'logout', '--hostname', '{issuer}', '--user', '{account}'], revokes: false },
    },
    advice: 'To keep it in the keyring: gh auth login, without --insecure-storage. To end it: https://github.com/settings/applications',
    sources: ['https://github.com/cli/go-gh/blob/trunk/pkg/config/config.go', 'https://github.com/cli/cli/blob/trunk/internal/config/migration/multi_account.go', 'https://github.com/cli/cli/blob/trunk/pkg/cmd/auth/logout/logout.go'],
  },
  {
    tool: 'glab', name: 'GitLab CLI',
    places: ['${GLAB_CONFIG_DIR:-${XDG_CONFIG_HOME:-~/.config}/glab-cli}', '~/Library/Application Support/glab-cli'].map((folder) => ({
      path: `${folder}/config.yml`, format: 'yaml',
      marks: [{ kind: 'refresh_token', at: '/hosts/*/oauth2_refresh_token', issuer: '{1}', client: '/hosts/*/client_id', account: '/hosts/*/user' }, { kind: 'access_token', at: '/hosts/*/token', issuer: '{1}', account: '/hosts/*/user' }],
    })),
    fix: {
      use: 'GITLAB_TOKEN="$(valetkey token {profile})" glab …',
      end: { by: 'command', argv: ['glab', 'auth', 'logout', '--hostname', '{issuer}'], revokes: false },
    },
    advice: 'To keep it in the keyring: glab auth login --use-keyring',
    sources: ['https://man.archlinux.org/man/glab-auth-logout.1.en', 'https://docs.gitlab.com/cli/authentication/'],
  },
  {
    tool: 'hub', name: 'hub',
    places: [{ path: '${HUB_CONFIG:-${XDG_CONFIG_HOME:-~/.config}/hub}', format: 'yaml', marks: [{ kind: 'access_token', at: '/*/*/oauth_token', issuer: '{1}', account: '/*/*/user' }] }],
    fix: {
      use: 'GITHUB_TOKEN="$(valetkey token {profile})" hub …',
      end: { by: 'removal' },
    },
    advice: 'To end it: https://github.com/settings/tokens; then remove the file',
    sources: ['https://github.com/mislav/hub/blob/master/github/config.go'],
  },
  {
    tool: 'git', name: 'git, the helper store',
    places: ['~/.git-credentials', '${XDG_CONFIG_HOME:-~/.config}/git/credentials'].map((path) => ({
      path, format: 'urls', marks: [{ kind: 'password', at: '/*/password', issuer: '/*/host', account: '/*/user' }],
    })),
    fix: {
      use: 'git config --global credential.https://HOST.helper \'!valetkey credential git --profile {profile} --url https://HOST\', with the host of the forge',
      end: { by: 'hand' },
    },
    advice: 'To stop writing it: git config --global --unset credential.helper. To take one out: git credential reject',
    sources: ['https://git-scm.com/docs/git-credential-store'],
  },
  {
    tool: 'netrc', name: '.netrc',
    places: [{ path: '${NETRC:-~/.netrc}', format: 'netrc', marks: [{ kind: 'password', at: '/*/password', issuer: '/*/machine', account: '/*/login' }] }],
    fix: {
      use: 'valetkey token {profile} --format header | curl -H @- …',
      end: { by: 'hand' },
    },
    advice: 'To take it away, remove the entry; end the password where it was made',
    sources: ['https://everything.curl.dev/usingcurl/netrc.html'],
  },
];
