/** One record of the log by its number, wherever it stands: files are named by their first record, so mostly one is read. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { auditFilesIn, readAuditLine } from '../../shared/audit-line.ts';

/** Its hash; null where no such record is found. Rejects where the disk refuses. */
export async function hashOfRecord(dir: string, seq: number): Promise<string | null> {
  for (const name of auditFilesIn(await readdir(dir)).toReversed()) {
    const found = await search(join(dir, name), seq);
    if (found !== 'older') return found;
  }
  return null;
}

/** As chain.ts writes it: to read all of each line would take a tenth of a second. */
const BEGIN = /^\{"v":\d+,"seq":(\d+),/;

/** `older`: all that is here came later. */
async function search(path: string, wanted: number): Promise<string | 'older' | null> {
  const input = createReadStream(path);
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const seq = Number(BEGIN.exec(line)?.[1] ?? 0);
      if (seq < wanted) continue;
      return seq === wanted ? readAuditLine(line)?.record.hash ?? null : 'older';
    }
    return null;
  } finally {
    input.destroy();
  }
}
