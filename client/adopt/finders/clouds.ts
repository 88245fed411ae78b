/** Clouds: gcloud, aws, az and what belongs to them. */
import type { Finder } from '../finder.ts';

const GOOGLE = 'https://accounts.google.com';
const GCLOUD = '${CLOUDSDK_CONFIG:-~/.config/gcloud}';

export const CLOUDS: readonly Finder[] = [
  {
    tool: 'gcloud', name: 'Google Cloud CLI',
    places: [
      { path: `${GCLOUD}/credentials.db`, format: 'sqlite', marks: [{ kind: 'refresh_token', at: '/*/refresh_token', issuer: GOOGLE, client: '/*/client_id', account: '/*/account_id' }] },
      { path: `${GCLOUD}/legacy_credentials/*/adc.json`, format: 'json', marks: [{ kind: 'refresh_token', at: '/refresh_token', issuer: GOOGLE, client: '/client_id', account: '{0}' }] },
    ],
    fix: {
      use: 'CLOUDSDK_AUTH_ACCESS_TOKEN="$(valetkey token {profile})" gcloud …',
      end: { by: 'command', argv: ['gcloud', 'auth', 'revoke', '{account}'], revokes: true },
    },
    advice: 'To sign out and revoke it: gcloud auth revoke',
    sources: ['https://docs.cloud.google.com/sdk/docs/authenticate', 'https://www.jhanley.com/google-cloud-where-are-my-credentials-stored/'],
  },
  {
    tool: 'gcloud-adc', name: 'Google application default credentials',
    places: [{ path: `${GCLOUD}/application_default_credentials.json`, format: 'json', marks: [{ kind: 'refresh_token', at: '/refresh_token', issuer: GOOGLE, client: '/client_id', account: '/account' }] }],
    fix: {
      use: 'give your program the access token: ACCESS_TOKEN="$(valetkey token {profile})"',
      end: { by: 'command', argv: ['gcloud', 'auth', 'application-default', 'revoke', '--quiet'], revokes: true },
    },
    advice: 'To sign out and revoke it: gcloud auth application-default revoke',
    sources: ['https://github.com/googleapis/google-auth-library-python/blob/main/google/auth/_cloud_sdk.py'],
  },
  {
    tool: 'firebase', name: 'Firebase CLI',
    places: [{
      path: '${XDG_CONFIG_HOME:-~/.config}/configstore/firebase-tools.json', format: 'json',
      marks: [
        { kind: 'refresh_token', at: '/tokens/refresh_token', issuer: GOOGLE, account: '/user/email' },
        { kind: 'refresh_token', at: '/additionalAccounts/*/tokens/refresh_token', issuer: GOOGLE, account: '/additionalAccounts/*/user/email' },
      ],
    }],
    fix: null,
    advice: 'To sign out and revoke it: firebase logout',
    sources: ['https://github.com/firebase/firebase-tools/blob/master/src/auth.ts'],
  },
  {
    tool: 'aws', name: 'AWS CLI and SDKs, long-lived keys',
    places: [{ path: '${AWS_SHARED_CREDENTIALS_FILE:-~/.aws/credentials}', format: 'ini', marks: [{ kind: 'api_key', at: '/*/aws_secret_access_key', account: '{1}' }] }],
    fix: null,
    advice: 'To do without: aws sso login. To end it: Security credentials, in the IAM console',
    sources: ['https://docs.amazonaws.cn/en_us/cli/latest/userguide/cli-security-iam.html'],
  },
  {
    tool: 'aws-sso', name: 'AWS CLI, IAM Identity Center',
    places: [{
      path: '~/.aws/sso/cache/*.json', format: 'json',
      marks: [
        { kind: 'refresh_token', at: '/refreshToken', issuer: '/startUrl', client: '/clientId' },
        { kind: 'access_token', at: '/accessToken', issuer: '/startUrl', client: '/clientId' },
        { kind: 'client_secret', at: '/clientSecret', issuer: '/startUrl', client: '/clientId' },
      ],
    }],
    fix: null,
    advice: 'To sign out and end the session at AWS: aws sso logout',
    sources: ['https://github.com/boto/botocore/blob/develop/botocore/tokens.py', 'https://docs.aws.amazon.com/cli/latest/reference/sso/logout.html'],
  },
  {
    tool: 'aws-login', name: 'AWS CLI, aws login',
    places: [{
      path: '${AWS_LOGIN_CACHE_DIRECTORY:-~/.aws/login/cache}/*.json', format: 'json',
      marks: [{ kind: 'refresh_token', at: '/refreshToken', issuer: 'https://signin.aws.amazon.com', client: '/clientId', account: '/accessToken/accountId' }],
    }],
    fix: null,
    advice: 'The key that the token is bound to lies beside it in the file. To sign out, remove the file',
    sources: ['https://docs.rs/crate/aws-config/latest/source/src/login/cache.rs'],
  },
  {
    tool: 'az', name: 'Azure CLI',
    places: [
      {
        path: '${AZURE_CONFIG_DIR:-~/.azure}/msal_token_cache.json', format: 'json',
        marks: [{ kind: 'refresh_token', at: '/RefreshToken/*/secret', issuer: '/RefreshToken/*/environment', client: '/RefreshToken/*/client_id', account: '/RefreshToken/*/home_account_id' }],
      },
      { path: '${AZURE_CONFIG_DIR:-~/.azure}/service_principal_entries.json', format: 'json', marks: [{ kind: 'client_secret', at: '/*/client_secret', issuer: '/*/tenant', client: '/*/client_id' }] },
    ],
    fix: null,
    advice: 'To sign out on this machine: az logout. Entra has no revocation endpoint; an administrator, or https://mysignins.microsoft.com, ends the sessions',
    sources: ['https://github.com/Azure/azure-cli/blob/dev/src/azure-cli-core/azure/cli/core/auth/identity.py', 'https://github.com/AzureAD/microsoft-authentication-library-for-python/blob/dev/msal/token_cache.py'],
  },
  {
    tool: 'azure-devops', name: 'Azure DevOps CLI',
    places: [{ path: '${AZURE_CONFIG_DIR:-~/.azure}/azuredevops/personalAccessTokens', format: 'ini', marks: [{ kind: 'api_key', at: '/azdevops-cli:*/personal access token', issuer: '{1}' }, { kind: 'api_key', at: '/*/personal access token', issuer: '{1}' }] }],
    fix: {
      use: 'AZURE_DEVOPS_EXT_PAT="$(valetkey token {profile})" az devops …',
      end: { by: 'command', argv: ['az', 'devops', 'logout', '--organization', '{issuer}'], revokes: false },
    },
    advice: 'To take it away here: az devops logout. To end it: User settings, Personal access tokens, at Azure DevOps',
    sources: ['https://github.com/Azure/azure-devops-cli-extension/blob/master/azure-devops/azext_devops/dev/common/credential_store.py'],
  },
  {
    tool: 'doctl', name: 'DigitalOcean CLI',
    places: [
      { path: '${XDG_CONFIG_HOME:-~/.config}/doctl/config.yaml', format: 'yaml', marks: [{ kind: 'api_key', at: '/access-token' }, { kind: 'api_key', at: '/auth-contexts/*', account: '{1}' }] },
      { path: '~/Library/Application Support/doctl/config.yaml', format: 'yaml', marks: [{ kind: 'api_key', at: '/access-token' }, { kind: 'api_key', at: '/auth-contexts/*', account: '{1}' }] },
    ],
    fix: {
      use: 'DIGITALOCEAN_ACCESS_TOKEN="$(valetkey token {profile})" doctl …',
      end: { by: 'hand' },
    },
    advice: 'To take it away here: doctl auth remove --context NAME. To end it: https://cloud.digitalocean.com/account/api/tokens',
    sources: ['https://docs.digitalocean.com/reference/doctl/reference/auth/'],
  },
  {
    tool: 'wrangler', name: 'Cloudflare Wrangler',
    places: ['${XDG_CONFIG_HOME:-~/.config}/.wrangler', '~/.wrangler', '~/Library/Preferences/.wrangler'].map((folder) => ({
      path: `${folder}/config/default.toml`, format: 'toml', marks: [{ kind: 'refresh_token', at: '/refresh_token', issuer: 'https://dash.cloudflare.com' }, { kind: 'api_key', at: '/api_token', issuer: 'https://dash.cloudflare.com' }],
    })),
    fix: null,
    advice: 'To sign out and revoke it: wrangler logout',
    sources: ['https://github.com/cloudflare/workers-sdk/blob/main/packages/wrangler/src/user/user.ts'],
  },
  {
    tool: 'vercel', name: 'Vercel CLI',
    places: ['${XDG_DATA_HOME:-~/.local/share}', '~/Library/Application Support'].map((folder) => ({
      path: `${folder}/com.vercel.cli/auth.json`, format: 'json', marks: [{ kind: 'refresh_token', at: '/refreshToken', issuer: 'https://vercel.com' }, { kind: 'access_token', at: '/token', issuer: 'https://vercel.com' }],
    })),
    fix: null,
    advice: 'To sign out and revoke it: vercel logout',
    sources: ['https://github.com/vercel/vercel/blob/main/packages/cli/src/util/config/files.ts', 'https://github.com/vercel/vercel/blob/main/packages/cli/src/commands/logout/index.ts'],
  },
  {
    tool: 'pulumi', name: 'Pulumi',
    places: [{ path: '${PULUMI_CREDENTIALS_PATH:-${PULUMI_HOME:-~/.pulumi}}/credentials.json', format: 'json', marks: [{ kind: 'access_token', at: '/accessTokens/*', issuer: '{1}' }] }],
    fix: null,
    advice: 'To take it away here: pulumi logout. To end it: Personal access tokens, in your settings at Pulumi',
    sources: ['https://github.com/pulumi/pulumi/blob/master/sdk/go/common/workspace/creds.go'],
  },
  {
    tool: 'databricks', name: 'Databricks CLI',
    places: [{ path: '~/.databricks/token-cache.json', format: 'json', marks: [{ kind: 'refresh_token', at: '/tokens/*/refresh_token', issuer: '{1}' }] }],
    fix: {
      use: 'DATABRICKS_TOKEN="$(valetkey token {profile})" databricks …',
      end: { by: 'removal' },
    },
    advice: 'To sign out, remove the file: the CLI asks for a login',
    sources: ['https://github.com/databricks/cli/blob/main/libs/auth/cache/file.go'],
  },
  {
    tool: 'snowflake', name: 'Snowflake connectors',
    places: [{ path: '${SF_TEMPORARY_CREDENTIAL_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/snowflake}/credential_cache_v1.json', format: 'json', marks: [{ kind: 'token', at: '/tokens/*' }] }],
    fix: {
      use: 'connect with authenticator = "oauth" and token = the output of: valetkey token {profile}',
      end: { by: 'removal' },
    },
    advice: 'To sign out, remove the file: the connector asks for a login',
    sources: ['https://github.com/snowflakedb/snowflake-connector-python/blob/main/src/snowflake/connector/token_cache.py'],
  },
  {
    tool: 'oci', name: 'Oracle Cloud CLI, sessions',
    places: [{ path: '~/.oci/sessions/*/token', format: 'text', marks: [{ kind: 'access_token', at: '', account: '{0}' }] }],
    fix: null,
    advice: 'The key that the token is bound to lies beside it. It ends by itself after an hour; to take it away, remove the folder of the session',
    sources: ['https://docs.oracle.com/en-us/iaas/Content/API/SDKDocs/clitoken.htm', 'https://www.dbi-services.com/blog/access-oci-cloud-using-session-token/'],
  },
  {
    tool: 'fly', name: 'Fly.io CLI',
    places: [{ path: '${FLY_CONFIG_DIR:-~/.fly}/config.yml', format: 'yaml', marks: [{ kind: 'access_token', at: '/access_token', issuer: 'https://api.fly.io' }] }],
    fix: null,
    advice: 'To sign out: fly auth logout',
    sources: ['https://github.com/superfly/flyctl/blob/master/internal/config/config.go'],
  },
  {
    tool: 'rclone', name: 'rclone',
    places: [{ path: '${RCLONE_CONFIG:-${XDG_CONFIG_HOME:-~/.config}/rclone/rclone.conf}', format: 'ini', marks: [{ kind: 'refresh_token', at: '/*/token', issuer: '/*/type', client: '/*/client_id', account: '{1}' }] }],
    fix: null,
    advice: 'To seal the whole file under a password: rclone config, Set configuration password. To end it: rclone config disconnect REMOTE:',
    sources: ['https://rclone.org/docs/'],
  },
];
