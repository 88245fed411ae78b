/**
 * Coding agents, as data: a process that one of these lines describes, and whatever it starts, is of the class
 * `agent`. Whoever renames the program is not recognised; the list is for those that do not hide. A program of
 * the same name that is no agent (`goose` also migrates databases) is asked about once, and that is all.
 *
 * Editors with an agent inside (VS Code, Cursor's own window) are not listed: a person's terminal in them looks
 * the same.
 */
import type { Program } from '../core/domain.ts';

export type Agent = {
  readonly name: string;
  /** File names of the executable or of the script, without .exe, .js, .mjs or .cjs. */
  readonly files: readonly string[];
  /** Parts of their paths. */
  readonly paths: readonly string[];
};

export const AGENTS: readonly Agent[] = [
  // npm: bin/claude.exe, once cli.js under node; by its own installer ~/.local/share/claude/versions/VERSION.
  { name: 'Claude Code', files: ['claude'], paths: ['/@anthropic-ai/claude-code', '/claude/versions/'] },
  // npm: bin/codex.js under node, which starts the binary of @openai/codex-PLATFORM; releases name it by its target.
  { name: 'Codex CLI', files: ['codex', 'codex-x86_64-unknown-linux-musl', 'codex-aarch64-unknown-linux-musl'], paths: ['/@openai/codex'] },
  // npm: bundle/gemini.js under node.
  { name: 'Gemini CLI', files: ['gemini'], paths: ['/@google/gemini-cli'] },
  // Its installer: ~/.local/share/cursor-agent/versions/VERSION, with a node of its own and index.js.
  { name: 'Cursor Agent', files: ['cursor-agent'], paths: ['/cursor-agent/'] },
  // npm: npm-loader.js, once index.js, under node, or the binary of @github/copilot-PLATFORM.
  { name: 'GitHub Copilot CLI', files: ['copilot'], paths: ['/@github/copilot'] },
  // PyPI aider-chat: the script `aider` under python. `python -m aider` shows no script.
  { name: 'aider', files: ['aider'], paths: [] },
  // npm opencode-ai: bin/opencode.exe; by its own installer ~/.opencode/bin/opencode.
  { name: 'opencode', files: ['opencode', 'opencode2'], paths: ['/opencode-ai/', '/.opencode/bin/'] },
  { name: 'goose', files: ['goose', 'goosed'], paths: [] },
  // npm: @sourcegraph/amp holds @ampcode/cli, whose bin is amp.exe.
  { name: 'Amp', files: ['amp'], paths: ['/@sourcegraph/amp/', '/@ampcode/cli'] },
  // npm: bin/cline, which starts the binary of @cline/cli-PLATFORM.
  { name: 'Cline', files: ['cline'], paths: ['/@cline/cli', '/node_modules/cline/'] },
  { name: 'Qwen Code', files: ['qwen'], paths: ['/@qwen-code/qwen-code/'] },
  { name: 'Auggie', files: ['auggie'], paths: ['/@augmentcode/auggie/'] },
  { name: 'Crush', files: ['crush'], paths: ['/@charmland/crush/'] },
  { name: 'Kilo Code', files: ['kilo', 'kilocode'], paths: ['/@kilocode/cli'] },
  { name: 'Continue', files: ['cn'], paths: ['/@continuedev/cli/'] },
];

const BY_FILE: ReadonlyMap<string, Agent> = new Map(AGENTS.flatMap((agent) => agent.files.map((file) => [file, agent] as const)));

/** Its name; null: none of them. */
export function agentOf({ executable, script }: Program): string | null {
  for (const path of [script, executable]) {
    if (path === null) continue;
    const agent = BY_FILE.get(fileOf(path)) ?? AGENTS.find(({ paths }) => paths.some((part) => path.includes(part)));
    if (agent !== undefined) return agent.name;
  }
  return null;
}

function fileOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '').replace(/\.(exe|[cm]?js)$/, '');
}
