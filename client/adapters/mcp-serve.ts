/** An MCP server on standard input and output (stdio transport): what its tools do is another file's. */
import { once } from 'node:events';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { BUILD_VERSION } from '../../shared/version.ts';

export type Tool = {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Nothing changes by it, and no person is asked. */
  readonly isReadOnly: boolean;
  /** What it says, as JSON; `isError`: it did not work. */
  readonly run: (given: Readonly<Record<string, unknown>>) => Promise<{ readonly said: object; readonly isError: boolean }>;
};

/** Resolves when the host has closed standard input, or the signal ends it. */
export async function serveTools(tools: readonly Tool[], instructions: string, signal: AbortSignal, warn: (text: string) => void): Promise<void> {
  // An eighth of a second of work, for nobody else.
  const [{ McpServer, fromJsonSchema }, { serveStdio }] = await Promise.all([import('@modelcontextprotocol/server'), import('@modelcontextprotocol/server/stdio')]);
  const make = (): InstanceType<typeof McpServer> => {
    const server = new McpServer({ name: 'valetkey', version: BUILD_VERSION }, { instructions });
    for (const { name, description, input, isReadOnly, run } of tools) {
      const inputSchema = fromJsonSchema<Record<string, unknown>>({ type: 'object', ...input });
      server.registerTool(name, { description, inputSchema, annotations: { readOnlyHint: isReadOnly, openWorldHint: false } }, async (given): Promise<CallToolResult> => {
        const { said, isError } = await run(given);
        return { content: [{ type: 'text', text: JSON.stringify(said, null, 1) }], isError };
      });
    }
    return server;
  };
  const ended = once(process.stdin, 'end', { signal }).catch((cause: unknown) => {
    if (!signal.aborted) throw cause;
  });
  const handle = serveStdio(make, { onerror: ({ message }) => warn(message) });
  await ended;
  await handle.close();
}
