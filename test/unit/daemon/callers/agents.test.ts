import { describe, expect, it } from 'vitest';
import { agentOf, AGENTS } from '../../../../daemon/callers/agents.ts';

describe('agentOf', () => {
  it.each([
    ['/home/ada/.local/share/claude/versions/2.1.330', null, 'Claude Code'],
    ['/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe', null, 'Claude Code'],
    ['/usr/bin/node', '/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js', 'Claude Code'],
    ['/usr/bin/node', '/usr/local/bin/claude', 'Claude Code'],
    ['/usr/bin/node', '/usr/lib/node_modules/@openai/codex/bin/codex.js', 'Codex CLI'],
    ['/usr/lib/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/codex/codex', null, 'Codex CLI'],
    ['/usr/bin/node', '/usr/lib/node_modules/@google/gemini-cli/bundle/gemini.js', 'Gemini CLI'],
    ['/home/ada/.local/share/cursor-agent/versions/2026.10.01-e373342/node', '/home/ada/.local/share/cursor-agent/versions/2026.10.01-e373342/index.js', 'Cursor Agent'],
    ['/usr/bin/node', '/usr/lib/node_modules/@github/copilot/npm-loader.js', 'GitHub Copilot CLI'],
    ['/usr/bin/python3.12', '/home/ada/.local/bin/aider', 'aider'],
    ['/home/ada/.opencode/bin/opencode', null, 'opencode'],
    ['/home/ada/.local/bin/goose (deleted)', null, 'goose'],
    ['/usr/lib/node_modules/@sourcegraph/amp/node_modules/@ampcode/cli-linux-x64/bin/amp.exe', null, 'Amp'],
    ['/usr/lib/node_modules/@cline/cli-linux-x64/bin/cline', null, 'Cline'],
    ['/usr/bin/node', '/usr/lib/node_modules/@qwen-code/qwen-code/cli-entry.js', 'Qwen Code'],
    ['/usr/bin/git', null, null],
    ['/usr/bin/node', '/home/ada/claude-notes/tool.js', null],
    ['/usr/share/code/code', null, null],
    [null, null, null],
  ])('%s %s: %s', (executable, script, name) => {
    expect(agentOf({ executable, script })).toBe(name);
  });

  it('has each name and each file once', () => {
    for (const all of [AGENTS.map(({ name }) => name), AGENTS.flatMap(({ files }) => files)]) expect(new Set(all).size).toBe(all.length);
  });
});
