/** The benchmark's end of processes/control.ts. */
import type { ChildProcess } from 'node:child_process';
import { Unexpected } from './stage.ts';

const ANSWER_LIMIT_MS = 30_000;

export function ask(child: ChildProcess, question: string, value: unknown = null): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(limit);
      child.off('message', listen);
      child.off('exit', left);
      finish();
    };
    const listen = (message: unknown): void => settle(() => {
      if (typeof message === 'object' && message !== null && 'answer' in message) resolve(message.answer);
      else reject(new Unexpected(`a process of the benchmark failed at "${question}": ${JSON.stringify(message)}`));
    });
    const left = (): void => settle(() => reject(new Unexpected(`a process of the benchmark ended at "${question}"`)));
    const limit = setTimeout(() => settle(() => reject(new Unexpected(`a process of the benchmark did not answer "${question}"`))), ANSWER_LIMIT_MS);
    child.on('message', listen);
    child.once('exit', left);
    child.send({ ask: question, value });
  });
}
