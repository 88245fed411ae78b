/**
 * How the benchmark speaks with a process of its own: it sends { ask, value }, and is sent { answer } or
 * { mistake }, one at a time. The process ends when the benchmark is gone.
 */
export type Answers = Readonly<Record<string, (value: unknown) => unknown>>;

export function answerAsks(answers: Answers): void {
  process.on('disconnect', () => process.exit());
  // Ctrl-C at the terminal reaches all processes; the benchmark ends this one when it no longer needs it.
  process.on('SIGINT', () => undefined);
  const reply = (message: object): void => void process.send?.(message);
  process.on('message', (message: unknown) => {
    if (typeof message !== 'object' || message === null || !('ask' in message)) return;
    const answer = answers[String(message.ask)];
    const value = 'value' in message ? message.value : null;
    Promise.resolve().then(() => answer?.(value)).then(
      (result) => reply({ answer: result ?? null }),
      (error: unknown) => reply({ mistake: String(error) }),
    );
  });
}
