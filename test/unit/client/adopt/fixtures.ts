/** Files as the tools write them, with secrets of the real shape that end in EXAMPLE; and what has to be found in each. */
import { inflateSync } from 'node:zlib';

export type Expected = { readonly kind: string; readonly issuer: string | null; readonly client?: string | null; readonly account?: string | null };
export type Fixture = {
  readonly tool: string;
  /** Below the home directory. */
  readonly file: string;
  readonly content: string | Buffer;
  readonly expected: readonly Expected[];
  /** None of these may be in any output. */
  readonly secrets: readonly string[];
};

function jwt(claims: Readonly<Record<string, unknown>>): string {
  return [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).concat('c2lnbmF0dXJlRVhBTVBMRQ').join('.');
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Made by Python's sqlite3: two rows of gcloud's table `credentials`. */
const GCLOUD_DB = 'eNrt2Utv00AQAOC1U/GIKEYg1OvKuYAS4j7IgR5ok2oRUdMHiQ+pELI29taxcLzGu07K64Aq8b/4GfwI7hzZtRMIucAFCdB8kq2MPDNZe09jD571IsnwOc8mVOIddAsZBtrHGCFkqqOCfjDUsbYS/4qJmr6xbn1FpjVE1tD6hAAAAAAAAAAAgP9IaFzdqNWMD3clHcXMz1jAEhnRWCz9NA/6pO0S7LY7PYLtpSs2vkd9n+eJ9KIAu2To4tN+96jdP8OH5KyBpzTOGe70Tjr3W+aVjW7NQFESsAvxKlbTvEdzyYvYW+rpbS0Feq6/pte5rof0G+/QzcfqBAAAAAAAAAB/yOWeuVb/yEZ8tM8u6CSNWZNn4dsqVrNQHLFi+LF3sb2z3Wq1Hj3cVKcmTVPRDDkPY5YLlvk8kSqx6fOJ3VgqFHrkkro49GOeBwe9Ljl2B0RNXGqaah+d9kiZn7HzjImxJ/lLluj8LcfZDDt8NM/qkyd9MnjqnhyS40XFVOV6eRbp9LGUqdh1nPm4tlibXpDDHa4msfG2U5aU5cLnKROq9LmKVKyiRN1mo4wW7Waz2bwTTSNRdNOtnOJmHqQxlfqLra2KXhRdi+Wvrqn899U+5Z2WVa9Tpgt0Hs+iNyzw9EMtL+ZJNGWZYF7AJzQqns3Pnezq+8s9Q+8gDej3HVQX/oYdbAcUdvA3drCq53/rM7K+qBMAAAAAAAAAAAD+LXcqdWPlzZp5u1K/vvKu5hubcHEp';

const KUBELOGIN_ID = jwt({ iss: 'https://login.example.com', aud: 'kubernetes', sub: 'ada', email: 'ada@example.com', exp: 1_800_000_000 });
const CODEX_ID = jwt({ iss: 'https://auth.openai.com', aud: ['app_EXAMPLECLIENT'], email: 'ada@example.com' });
const GEMINI_ID = jwt({ iss: 'https://accounts.google.com', aud: '681255809395-EXAMPLE.apps.googleusercontent.com', email: 'ada@example.com' });
const OCI_TOKEN = jwt({ sub: 'ocid1.user.oc1..EXAMPLE', exp: 1_800_000_000 });
const ARGO_TOKEN = jwt({ iss: 'argocd', sub: 'ada' });

export const FIXTURES: readonly Fixture[] = [
  {
    tool: 'gcloud', file: '.config/gcloud/credentials.db', content: inflateSync(Buffer.from(GCLOUD_DB, 'base64')),
    expected: ['ada@example.com', 'bob@example.org'].map((account) => ({ kind: 'refresh_token', issuer: 'https://accounts.google.com', client: '32555940559.apps.googleusercontent.com', account })),
    secrets: ['1//0gAdaEXAMPLEREFRESHTOKEN', '1//0gBobEXAMPLEREFRESHTOKEN', 'gcloudCLIENTSECRETEXAMPLE'],
  },
  {
    tool: 'gcloud', file: '.config/gcloud/legacy_credentials/ada@example.com/adc.json',
    content: json({ client_id: '32555940559.apps.googleusercontent.com', client_secret: 'legacyCLIENTSECRETEXAMPLE', refresh_token: '1//0gLegacyREFRESHTOKENEXAMPLE', type: 'authorized_user' }),
    expected: [{ kind: 'refresh_token', issuer: 'https://accounts.google.com', client: '32555940559.apps.googleusercontent.com', account: 'ada@example.com' }],
    secrets: ['1//0gLegacyREFRESHTOKENEXAMPLE', 'legacyCLIENTSECRETEXAMPLE'],
  },
  {
    tool: 'gcloud-adc', file: '.config/gcloud/application_default_credentials.json',
    content: json({ account: '', client_id: '764086051850-EXAMPLE.apps.googleusercontent.com', client_secret: 'd-adcSECRETEXAMPLE', quota_project_id: 'p', refresh_token: '1//0gAdcREFRESHTOKENEXAMPLE', type: 'authorized_user', universe_domain: 'googleapis.com' }),
    expected: [{ kind: 'refresh_token', issuer: 'https://accounts.google.com', client: '764086051850-EXAMPLE.apps.googleusercontent.com', account: null }],
    secrets: ['1//0gAdcREFRESHTOKENEXAMPLE', 'd-adcSECRETEXAMPLE'],
  },
  {
    tool: 'firebase', file: '.config/configstore/firebase-tools.json',
    content: json({
      user: { email: 'ada@example.com', iss: 'https://accounts.google.com' }, tokens: { access_token: 'ya29.firebaseACCESSEXAMPLE', refresh_token: '1//0gFirebaseREFRESHEXAMPLE', expires_at: 1_800_000_000_000 },
      additionalAccounts: [{ user: { email: 'bob@example.org' }, tokens: { refresh_token: '1//0gSecondREFRESHEXAMPLE' } }],
    }),
    expected: [{ kind: 'refresh_token', issuer: 'https://accounts.google.com', account: 'ada@example.com' }, { kind: 'refresh_token', issuer: 'https://accounts.google.com', account: 'bob@example.org' }],
    secrets: ['1//0gFirebaseREFRESHEXAMPLE', '1//0gSecondREFRESHEXAMPLE', 'ya29.firebaseACCESSEXAMPLE'],
  },
  {
    tool: 'aws-sso', file: '.aws/sso/cache/d033e22ae348aeb5660fc2140aec35850c4da997.json',
    content: json({ startUrl: 'https://example.awsapps.com/start', region: 'eu-central-1', accessToken: 'aoaAAAAAGVACCESSEXAMPLE', expiresAt: '2026-11-23T18:00:00Z', clientId: 'clientIdEXAMPLE', clientSecret: 'eyJraWQiCLIENTSECRETEXAMPLE', registrationExpiresAt: '2027-02-01T00:00:00Z', refreshToken: 'aorAAAAAGVREFRESHEXAMPLE' }),
    expected: ['refresh_token', 'access_token', 'client_secret'].map((kind) => ({ kind, issuer: 'https://example.awsapps.com/start', client: 'clientIdEXAMPLE' })),
    secrets: ['aoaAAAAAGVACCESSEXAMPLE', 'aorAAAAAGVREFRESHEXAMPLE', 'eyJraWQiCLIENTSECRETEXAMPLE'],
  },
  {
    tool: 'aws-login', file: '.aws/login/cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json',
    content: json({ accessToken: { accessKeyId: 'ASIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', sessionToken: 'AQoSESSIONEXAMPLE', accountId: '012345678901', expiresAt: '2026-11-23T18:00:00Z' }, tokenType: 'aws_sigv4', refreshToken: 'awsLoginREFRESHEXAMPLE', clientId: 'arn:aws:signin:::devtools/same-device', dpopKey: '-----BEGIN EC PRIVATE KEY-----\nEXAMPLE\n-----END EC PRIVATE KEY-----\n' }),
    expected: [{ kind: 'refresh_token', issuer: 'https://signin.aws.amazon.com', client: 'arn:aws:signin:::devtools/same-device', account: '012345678901' }],
    secrets: ['awsLoginREFRESHEXAMPLE', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  },
  {
    tool: 'az', file: '.azure/msal_token_cache.json',
    content: json({
      AccessToken: { k: { credential_type: 'AccessToken', secret: 'eyJazACCESSEXAMPLE' } },
      RefreshToken: { 'oid.tid-login.microsoftonline.com-refreshtoken-04b07795-8ddb-461a-bbee-02f9e1bf7b46--': { credential_type: 'RefreshToken', secret: '0.AXEAazREFRESHEXAMPLE', home_account_id: 'aaaaaaaa-0000-4000-8000-000000000001.aaaaaaaa-0000-4000-8000-000000000002', environment: 'login.microsoftonline.com', client_id: '04b07795-8ddb-461a-bbee-02f9e1bf7b46' } },
    }),
    expected: [{ kind: 'refresh_token', issuer: 'login.microsoftonline.com', client: '04b07795-8ddb-461a-bbee-02f9e1bf7b46', account: 'aaaaaaaa-0000-4000-8000-000000000001.aaaaaaaa-0000-4000-8000-000000000002' }],
    secrets: ['0.AXEAazREFRESHEXAMPLE', 'eyJazACCESSEXAMPLE'],
  },
  {
    tool: 'az', file: '.azure/service_principal_entries.json', content: json([{ client_id: 'aaaaaaaa-0000-4000-8000-000000000003', tenant: 'aaaaaaaa-0000-4000-8000-000000000002', client_secret: 'abc8Q~azSECRETEXAMPLE' }]),
    expected: [{ kind: 'client_secret', issuer: 'aaaaaaaa-0000-4000-8000-000000000002', client: 'aaaaaaaa-0000-4000-8000-000000000003' }], secrets: ['abc8Q~azSECRETEXAMPLE'],
  },
  {
    tool: 'azure-devops', file: '.azure/azuredevops/personalAccessTokens', content: '[azdevops-cli:https://dev.azure.com/example]\npersonal access token = azdoPERSONALACCESSTOKENEXAMPLE\n\n',
    expected: [{ kind: 'api_key', issuer: 'https://dev.azure.com/example' }], secrets: ['azdoPERSONALACCESSTOKENEXAMPLE'],
  },
  {
    tool: 'doctl', file: '.config/doctl/config.yaml', content: 'access-token: dop_v1_firstEXAMPLE\napi-url: ""\nauth-contexts:\n  team: dop_v1_secondEXAMPLE\ncontext: default\noutput: text\ntoken:\n  expires: 0\n',
    expected: [{ kind: 'api_key', issuer: null, account: null }, { kind: 'api_key', issuer: null, account: 'team' }], secrets: ['dop_v1_firstEXAMPLE', 'dop_v1_secondEXAMPLE'],
  },
  {
    tool: 'wrangler', file: '.config/.wrangler/config/default.toml', content: 'oauth_token = "wranglerACCESSEXAMPLE"\nexpiration_time = "2026-11-23T18:00:00.000Z"\nrefresh_token = "wranglerREFRESHEXAMPLE"\nscopes = [ "account:read", "offline_access" ]\napi_token = "wranglerV1KEYEXAMPLE"\n',
    expected: [{ kind: 'refresh_token', issuer: 'https://dash.cloudflare.com' }, { kind: 'api_key', issuer: 'https://dash.cloudflare.com' }], secrets: ['wranglerREFRESHEXAMPLE', 'wranglerACCESSEXAMPLE', 'wranglerV1KEYEXAMPLE'],
  },
  {
    tool: 'vercel', file: '.local/share/com.vercel.cli/auth.json', content: json({ '// Note': 'This is your Vercel credentials file. DO NOT SHARE!', token: 'vca_ACCESSEXAMPLE', refreshToken: 'vcr_REFRESHEXAMPLE', expiresAt: 1_800_000_000 }),
    expected: [{ kind: 'refresh_token', issuer: 'https://vercel.com' }, { kind: 'access_token', issuer: 'https://vercel.com' }], secrets: ['vca_ACCESSEXAMPLE', 'vcr_REFRESHEXAMPLE'],
  },
  {
    tool: 'pulumi', file: '.pulumi/credentials.json', content: json({ current: 'https://api.pulumi.com', accessTokens: { 'https://api.pulumi.com': 'pul-ACCESSEXAMPLE' }, accounts: { 'https://api.pulumi.com': { accessToken: 'pul-ACCESSEXAMPLE', username: 'ada' } } }),
    expected: [{ kind: 'access_token', issuer: 'https://api.pulumi.com' }], secrets: ['pul-ACCESSEXAMPLE'],
  },
  {
    tool: 'databricks', file: '.databricks/token-cache.json', content: json({ version: 1, tokens: { 'https://dbc-example.cloud.databricks.com': { access_token: 'eyJdbACCESSEXAMPLE', token_type: 'Bearer', refresh_token: 'doauREFRESHEXAMPLE', expiry: '2026-11-23T18:00:00Z' } } }),
    expected: [{ kind: 'refresh_token', issuer: 'https://dbc-example.cloud.databricks.com' }], secrets: ['doauREFRESHEXAMPLE', 'eyJdbACCESSEXAMPLE'],
  },
  {
    tool: 'snowflake', file: '.cache/snowflake/credential_cache_v1.json', content: json({ tokens: { 'b3e1a5d0f1c2e3d4b5a69788796a5b4c3d2e1f00112233445566778899aabbcc': 'ver:1-hint:snowflakeEXAMPLE' } }),
    expected: [{ kind: 'token', issuer: null }], secrets: ['ver:1-hint:snowflakeEXAMPLE'],
  },
  {
    tool: 'kubelogin', file: '.kube/cache/oidc-login/9b8f1f0c3b0c4c0d8d4e6f2a1b3c5d7e9f00112233445566778899aabbccddee', content: JSON.stringify({ id_token: KUBELOGIN_ID, refresh_token: 'kubeloginREFRESHEXAMPLE' }),
    expected: [{ kind: 'refresh_token', issuer: 'https://login.example.com', client: 'kubernetes', account: 'ada' }], secrets: ['kubeloginREFRESHEXAMPLE', KUBELOGIN_ID],
  },
  {
    tool: 'kubeconfig', file: '.kube/config',
    content: `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: LS0tEXAMPLE
    server: https://k.example.com
  name: k
users:
- name: ada
  user:
    auth-provider:
      config:
        client-id: kubernetes
        client-secret: kubeCLIENTSECRETEXAMPLE
        id-token: eyJkubeIDEXAMPLE
        idp-issuer-url: https://login.example.com
        refresh-token: kubeconfigREFRESHEXAMPLE
      name: oidc
- name: exec
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args:
      - oidc-login
      - get-token
      command: kubectl
`,
    expected: [{ kind: 'refresh_token', issuer: 'https://login.example.com', client: 'kubernetes', account: 'ada' }], secrets: ['kubeconfigREFRESHEXAMPLE', 'kubeCLIENTSECRETEXAMPLE', 'eyJkubeIDEXAMPLE'],
  },
  {
    tool: 'argocd', file: '.config/argocd/config',
    content: `contexts:\n- name: argo.example.com\n  server: argo.example.com\n  user: argo.example.com\ncurrent-context: argo.example.com\nservers:\n- grpc-web-root-path: ""\n  server: argo.example.com\nusers:\n- auth-token: ${ARGO_TOKEN}\n  name: argo.example.com\n  refresh-token: argoREFRESHEXAMPLE\n`,
    expected: ['refresh_token', 'access_token'].map((kind) => ({ kind, issuer: 'argo.example.com', account: 'ada' })), secrets: [ARGO_TOKEN, 'argoREFRESHEXAMPLE'],
  },
  {
    tool: 'terraform', file: '.terraform.d/credentials.tfrc.json', content: json({ credentials: { 'app.terraform.io': { token: 'abc.atlasv1.terraformEXAMPLE' } } }),
    expected: [{ kind: 'access_token', issuer: 'app.terraform.io' }], secrets: ['abc.atlasv1.terraformEXAMPLE'],
  },
  {
    tool: 'docker', file: '.docker/config.json',
    content: json({ auths: { 'https://index.docker.io/v1/': { auth: 'YWRhOmRvY2tlckVYQU1QTEU=' }, 'example.azurecr.io': { auth: 'MDAwMDAwMDAtMDAwMC0wMDAwOg==', identitytoken: 'eyJacrREFRESHEXAMPLE' }, 'r.example.com': { registrytoken: 'registryTOKENEXAMPLE' }, 'kept.example.com': {} } }),
    expected: [
      { kind: 'password', issuer: 'https://index.docker.io/v1/' }, { kind: 'password', issuer: 'example.azurecr.io' },
      { kind: 'refresh_token', issuer: 'example.azurecr.io' }, { kind: 'access_token', issuer: 'r.example.com' },
    ],
    secrets: ['YWRhOmRvY2tlckVYQU1QTEU=', 'eyJacrREFRESHEXAMPLE', 'registryTOKENEXAMPLE'],
  },
  {
    tool: 'podman', file: '.config/containers/auth.json', content: json({ auths: { 'quay.io': { auth: 'YWRhOnBvZG1hbkVYQU1QTEU=', identitytoken: 'podmanREFRESHEXAMPLE' } } }),
    expected: [{ kind: 'password', issuer: 'quay.io' }, { kind: 'refresh_token', issuer: 'quay.io' }], secrets: ['YWRhOnBvZG1hbkVYQU1QTEU=', 'podmanREFRESHEXAMPLE'],
  },
  {
    tool: 'gh', file: '.config/gh/hosts.yml',
    content: 'github.com:\n    git_protocol: https\n    users:\n        monalisa:\n            oauth_token: gho_ghTOKENEXAMPLE\n        hubot:\n            oauth_token: gho_hubotTOKENEXAMPLE\n    user: monalisa\n    oauth_token: gho_ghTOKENEXAMPLE\n',
    expected: [{ kind: 'access_token', issuer: 'github.com', account: 'monalisa' }, { kind: 'access_token', issuer: 'github.com', account: 'hubot' }], secrets: ['gho_ghTOKENEXAMPLE', 'gho_hubotTOKENEXAMPLE'],
  },
  {
    tool: 'glab', file: '.config/glab-cli/config.yml',
    content: '# What protocol to use when performing Git operations.\ngit_protocol: ssh\nhosts:\n    gitlab.com:\n        # What protocol to use to access the API endpoint.\n        api_protocol: https\n        api_host: gitlab.com\n        token: !!null glabACCESSEXAMPLE\n        is_oauth2: "true"\n        oauth2_refresh_token: glabREFRESHEXAMPLE\n        client_id: 41d48f9422ebd655dd9cf2947d6979681dfaddc6d0c56f7628f6ada59559af1e\n        user: ada\n',
    expected: ['refresh_token', 'access_token'].map((kind) => ({ kind, issuer: 'gitlab.com', client: kind === 'refresh_token' ? '41d48f9422ebd655dd9cf2947d6979681dfaddc6d0c56f7628f6ada59559af1e' : null, account: 'ada' })), secrets: ['glabACCESSEXAMPLE', 'glabREFRESHEXAMPLE'],
  },
  {
    tool: 'hub', file: '.config/hub', content: 'github.com:\n- user: ada\n  oauth_token: hubTOKENEXAMPLE\n  protocol: https\n',
    expected: [{ kind: 'access_token', issuer: 'github.com', account: 'ada' }], secrets: ['hubTOKENEXAMPLE'],
  },
  {
    tool: 'git', file: '.git-credentials', content: 'https://ada:gitPASSWORDEXAMPLE@git.example.com\nhttps://ghp_userISTHESECRETEXAMPLE:x-oauth-basic@github.com\nhttps://pe%40example.com:git%2FSECONDEXAMPLE@other.example.com\n',
    expected: [
      { kind: 'password', issuer: 'git.example.com', account: 'ada' }, { kind: 'password', issuer: 'github.com', account: null }, { kind: 'password', issuer: 'other.example.com', account: 'pe@example.com' },
    ],
    secrets: ['gitPASSWORDEXAMPLE', 'ghp_userISTHESECRETEXAMPLE', 'git/SECONDEXAMPLE'],
  },
  {
    tool: 'netrc', file: '.netrc', content: '# comment\nmachine api.heroku.com\n  login ada@example.com\n  password netrcPASSWORDEXAMPLE\nmachine two.example.com login bob password twoPASSWORDEXAMPLE\n',
    expected: [{ kind: 'password', issuer: 'api.heroku.com', account: 'ada@example.com' }, { kind: 'password', issuer: 'two.example.com', account: 'bob' }], secrets: ['netrcPASSWORDEXAMPLE', 'twoPASSWORDEXAMPLE'],
  },
  {
    tool: 'mcp-remote', file: '.mcp-auth/mcp-remote-v1/0123456789abcdef0123456789abcdef_tokens.json', content: json({ access_token: 'mcpACCESSEXAMPLE', token_type: 'bearer', expires_in: 3600, refresh_token: 'mcpREFRESHEXAMPLE' }),
    expected: [{ kind: 'refresh_token', issuer: null }, { kind: 'access_token', issuer: null }], secrets: ['mcpACCESSEXAMPLE', 'mcpREFRESHEXAMPLE'],
  },
  {
    tool: 'codex', file: '.codex/auth.json', content: json({ OPENAI_API_KEY: 'sk-codexEXAMPLE', tokens: { id_token: CODEX_ID, access_token: 'eyJcodexACCESSEXAMPLE', refresh_token: 'rt_codexREFRESHEXAMPLE', account_id: 'acc' }, last_refresh: '2026-11-20T08:00:00Z', personal_access_token: 'codexPATEXAMPLE' }),
    expected: [{ kind: 'refresh_token', issuer: 'https://auth.openai.com', client: 'app_EXAMPLECLIENT', account: 'ada@example.com' }, { kind: 'api_key', issuer: null }, { kind: 'api_key', issuer: null }],
    secrets: ['sk-codexEXAMPLE', CODEX_ID, 'eyJcodexACCESSEXAMPLE', 'rt_codexREFRESHEXAMPLE', 'codexPATEXAMPLE'],
  },
  {
    tool: 'claude', file: '.claude/.credentials.json', content: json({ claudeAiOauth: { accessToken: 'sk-ant-oat01-EXAMPLE', refreshToken: 'sk-ant-ort01-EXAMPLE', expiresAt: 1_800_000_000_000, scopes: ['user:inference'], subscriptionType: 'max' } }),
    expected: [{ kind: 'refresh_token', issuer: 'https://claude.ai' }], secrets: ['sk-ant-oat01-EXAMPLE', 'sk-ant-ort01-EXAMPLE'],
  },
  {
    tool: 'gemini', file: '.gemini/oauth_creds.json', content: json({ access_token: 'ya29.geminiEXAMPLE', refresh_token: '1//0gGeminiREFRESHEXAMPLE', scope: 'openid', token_type: 'Bearer', id_token: GEMINI_ID, expiry_date: 1_800_000_000_000 }),
    expected: [{ kind: 'refresh_token', issuer: 'https://accounts.google.com', client: '681255809395-EXAMPLE.apps.googleusercontent.com', account: 'ada@example.com' }], secrets: ['ya29.geminiEXAMPLE', '1//0gGeminiREFRESHEXAMPLE', GEMINI_ID],
  },
  {
    tool: 'copilot', file: '.config/github-copilot/apps.json', content: json({ 'github.com:Iv1.b507a08c87ecfe98': { user: 'monalisa', oauth_token: 'ghu_copilotEXAMPLE', githubAppId: 'Iv1.b507a08c87ecfe98' } }),
    expected: [{ kind: 'access_token', issuer: 'github.com:Iv1.b507a08c87ecfe98', account: 'monalisa' }], secrets: ['ghu_copilotEXAMPLE'],
  },
  {
    tool: 'opencode', file: '.local/share/opencode/auth.json', content: json({ anthropic: { type: 'oauth', refresh: 'sk-ant-ort01-ocEXAMPLE', access: 'sk-ant-oat01-ocEXAMPLE', expires: 1_800_000_000_000 }, openrouter: { type: 'api', key: 'sk-or-v1-EXAMPLE' } }),
    expected: [{ kind: 'refresh_token', issuer: 'anthropic' }, { kind: 'api_key', issuer: 'openrouter' }], secrets: ['sk-ant-ort01-ocEXAMPLE', 'sk-ant-oat01-ocEXAMPLE', 'sk-or-v1-EXAMPLE'],
  },
  {
    tool: 'npm', file: '.npmrc', content: '; registries\n@me:registry=https://npm.example.com/\n//registry.npmjs.org/:_authToken=npm_AUTHTOKENEXAMPLE\n//npm.example.com/:_authToken=${NPM_TOKEN}\n//old.example.com/:username=ada\n//old.example.com/:_password="bnBtUEFTU1dPUkRFWEFNUExF"\n//basic.example.com/:_auth=YWRhOm5wbUJBU0lDRVhBTVBMRQ==\n',
    expected: [{ kind: 'access_token', issuer: '//registry.npmjs.org/' }, { kind: 'password', issuer: '//old.example.com/', account: 'ada' }, { kind: 'password', issuer: '//basic.example.com/' }],
    secrets: ['npm_AUTHTOKENEXAMPLE', 'bnBtUEFTU1dPUkRFWEFNUExF', 'YWRhOm5wbUJBU0lDRVhBTVBMRQ=='],
  },
  {
    tool: 'pypi', file: '.pypirc', content: '[distutils]\nindex-servers =\n    pypi\n    private\n\n[pypi]\nusername = __token__\npassword = pypi-AgEIcHlwaEXAMPLE\n\n[private]\nrepository = https://pypi.example.com/\nusername = ada\npassword = privatePASSWORDEXAMPLE\n',
    expected: [{ kind: 'api_key', issuer: 'pypi', account: '__token__' }, { kind: 'api_key', issuer: 'private', account: 'ada' }], secrets: ['pypi-AgEIcHlwaEXAMPLE', 'privatePASSWORDEXAMPLE'],
  },
  {
    tool: 'cargo', file: '.cargo/credentials.toml', content: '[registry]\ntoken = "cioCARGOEXAMPLE"\n\n[registries.private]\ntoken = "Bearer cargoPRIVATEEXAMPLE"\n',
    expected: [{ kind: 'api_key', issuer: 'https://crates.io' }, { kind: 'api_key', issuer: 'private' }], secrets: ['cioCARGOEXAMPLE', 'cargoPRIVATEEXAMPLE'],
  },
  {
    tool: 'aws', file: '.aws/credentials', content: '[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECONDEXAMPLE\n',
    expected: [{ kind: 'api_key', issuer: null, account: 'default' }], secrets: ['wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECONDEXAMPLE'],
  },
  {
    tool: 'oci', file: '.oci/sessions/DEFAULT/token', content: OCI_TOKEN,
    expected: [{ kind: 'access_token', issuer: null, account: 'DEFAULT' }], secrets: [OCI_TOKEN],
  },
  {
    tool: 'fly', file: '.fly/config.yml', content: 'access_token: FlyV1 fm2_flyEXAMPLE,fo1_flyEXAMPLE\nauto_update: true\nmetrics_token: ""\n',
    expected: [{ kind: 'access_token', issuer: 'https://api.fly.io' }], secrets: ['fm2_flyEXAMPLE', 'fo1_flyEXAMPLE'],
  },
  {
    tool: 'rclone', file: '.config/rclone/rclone.conf', content: '[gdrive]\ntype = drive\nclient_id = ours.apps.googleusercontent.com\nclient_secret = rcloneSECRETEXAMPLE\nscope = drive\ntoken = {"access_token":"ya29.rcloneEXAMPLE","token_type":"Bearer","refresh_token":"1//0gRcloneREFRESHEXAMPLE","expiry":"2026-11-23T18:00:00Z"}\n',
    expected: [{ kind: 'refresh_token', issuer: 'drive', client: 'ours.apps.googleusercontent.com', account: 'gdrive' }], secrets: ['ya29.rcloneEXAMPLE', '1//0gRcloneREFRESHEXAMPLE', 'rcloneSECRETEXAMPLE'],
  },
  {
    tool: 'huggingface', file: '.cache/huggingface/token', content: 'hf_huggingfaceTOKENEXAMPLE\n',
    expected: [{ kind: 'api_key', issuer: 'https://huggingface.co' }], secrets: ['hf_huggingfaceTOKENEXAMPLE'],
  },
];
