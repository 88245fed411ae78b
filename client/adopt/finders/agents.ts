/** Coding agents, and what connects them to servers. */
import type { Finder } from '../finder.ts';

export const AGENTS: readonly Finder[] = [
  {
    tool: 'mcp-remote', name: 'mcp-remote',
    places: [{ path: '${MCP_REMOTE_CONFIG_DIR:-~/.mcp-auth}/*/*_tokens.json', format: 'json', marks: [{ kind: 'refresh_token', at: '/refresh_token' }, { kind: 'access_token', at: '/access_token' }] }],
    fix: {
      use: 'AUTH="Bearer $(valetkey token {profile})" npx mcp-remote URL --header \'Authorization:${AUTH}\'',
      end: { by: 'removal' },
    },
    advice: 'To sign out, remove the file: mcp-remote asks for a login',
    sources: ['https://github.com/geelen/mcp-remote/blob/main/src/lib/mcp-auth-config.ts'],
  },
  {
    tool: 'codex', name: 'Codex CLI',
    places: [{
      path: '${CODEX_HOME:-~/.codex}/auth.json', format: 'json',
      marks: [
        { kind: 'refresh_token', at: '/tokens/refresh_token', issuer: '/tokens/id_token#iss', client: '/tokens/id_token#aud', account: '/tokens/id_token#email' },
        { kind: 'api_key', at: '/OPENAI_API_KEY' },
        { kind: 'api_key', at: '/personal_access_token' },
      ],
    }],
    fix: null,
    advice: 'To keep it in the keyring: cli_auth_credentials_store = "keyring" in config.toml, and sign in again. To sign out: codex logout',
    sources: ['https://github.com/openai/codex/blob/main/codex-rs/login/src/auth/storage.rs', 'https://github.com/openai/codex/blob/main/codex-rs/login/src/token_data.rs'],
  },
  {
    tool: 'claude', name: 'Claude Code',
    places: [{ path: '${CLAUDE_CONFIG_DIR:-~/.claude}/.credentials.json', format: 'json', marks: [{ kind: 'refresh_token', at: '/claudeAiOauth/refreshToken', issuer: 'https://claude.ai' }] }],
    fix: null,
    advice: 'To sign out: /logout in Claude Code',
    sources: ['https://github.com/anthropics/claude-code/issues/50743', 'https://github.com/HKUDS/nanobot/pull/638'],
  },
  {
    tool: 'gemini', name: 'Gemini CLI',
    places: [{ path: '~/.gemini/oauth_creds.json', format: 'json', marks: [{ kind: 'refresh_token', at: '/refresh_token', issuer: 'https://accounts.google.com', client: '/id_token#aud', account: '/id_token#email' }] }],
    fix: null,
    advice: 'To sign out, remove the file; to end it: https://myaccount.google.com/connections',
    sources: ['https://github.com/google-gemini/gemini-cli/blob/main/packages/core/src/config/storage.ts'],
  },
  {
    tool: 'copilot', name: 'GitHub Copilot in editors',
    places: [{ path: '${XDG_CONFIG_HOME:-~/.config}/github-copilot/apps.json', format: 'json', marks: [{ kind: 'access_token', at: '/*/oauth_token', issuer: '{1}', account: '/*/user' }] }],
    fix: null,
    advice: 'To sign out, do so in the editor; to end it: https://github.com/settings/applications',
    sources: ['https://github.com/zbirenbaum/copilot.lua/blob/master/lua/copilot/auth/init.lua'],
  },
  {
    tool: 'opencode', name: 'opencode',
    places: [{
      path: '${XDG_DATA_HOME:-~/.local/share}/opencode/auth.json', format: 'json',
      marks: [{ kind: 'refresh_token', at: '/*/refresh', issuer: '{1}', account: '/*/accountId' }, { kind: 'api_key', at: '/*/key', issuer: '{1}' }],
    }],
    fix: null,
    advice: 'To take it away here: opencode auth logout',
    sources: ['https://github.com/anomalyco/opencode/blob/dev/packages/opencode/src/auth/index.ts'],
  },
];
