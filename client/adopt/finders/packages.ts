/** Package registries. */
import type { Finder } from '../finder.ts';

export const PACKAGES: readonly Finder[] = [
  {
    tool: 'npm', name: 'npm, pnpm, Yarn 1',
    places: [{
      path: '${NPM_CONFIG_USERCONFIG:-~/.npmrc}', format: 'ini',
      marks: [{ kind: 'access_token', at: '/*:_authToken', issuer: '{1}' }, { kind: 'password', at: '/*:_password', issuer: '{1}', account: '/*:username' }, { kind: 'password', at: '/*:_auth', issuer: '{1}' }],
    }],
    fix: {
      use: 'write //REGISTRY/:_authToken=${NPM_TOKEN} into the file, and run: NPM_TOKEN="$(valetkey token {profile})" npm …',
      end: { by: 'hand' },
    },
    advice: 'To sign out and end it at the registry: npm logout',
    sources: ['https://github.com/npm/cli/blob/latest/docs/lib/content/configuring-npm/npmrc.md'],
  },
  {
    tool: 'pypi', name: 'twine and others: .pypirc',
    places: [{ path: '~/.pypirc', format: 'ini', marks: [{ kind: 'api_key', at: '/*/password', issuer: '{1}', account: '/*/username' }] }],
    fix: {
      use: 'TWINE_USERNAME=__token__ TWINE_PASSWORD="$(valetkey token {profile})" twine upload …, where the index takes it',
      end: { by: 'hand' },
    },
    advice: 'To keep it in the keychain: keyring set https://upload.pypi.org/legacy/ __token__, and take it out of the file',
    sources: ['https://github.com/pypa/packaging.python.org/blob/main/source/specifications/pypirc.rst'],
  },
  {
    tool: 'cargo', name: 'Cargo',
    places: ['credentials.toml', 'credentials'].map((file) => ({
      path: `\${CARGO_HOME:-~/.cargo}/${file}`, format: 'toml', marks: [{ kind: 'api_key', at: '/registry/token', issuer: 'https://crates.io' }, { kind: 'api_key', at: '/registries/*/token', issuer: '{1}' }],
    })),
    fix: {
      use: 'CARGO_REGISTRIES_NAME_TOKEN="Bearer $(valetkey token {profile})" cargo …, with the registry\'s name in capitals for NAME',
      end: { by: 'hand' },
    },
    advice: 'To take it away here: cargo logout. To end it: https://crates.io/me',
    sources: ['https://doc.rust-lang.org/cargo/commands/cargo-logout.html', 'https://doc.rust-lang.org/cargo/commands/cargo-login.html'],
  },
  {
    tool: 'huggingface', name: 'Hugging Face Hub',
    places: [{ path: '${HF_TOKEN_PATH:-${HF_HOME:-${XDG_CACHE_HOME:-~/.cache}/huggingface}/token}', format: 'text', marks: [{ kind: 'api_key', at: '', issuer: 'https://huggingface.co' }] }],
    fix: null,
    advice: 'To take it away: hf auth logout. To end it: https://huggingface.co/settings/tokens',
    sources: ['https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/constants.py'],
  },
];
