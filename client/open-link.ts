/**
 * A program of its own: opens the link of its only argument by the system's default opener and ends as the
 * opener did. browser.ts runs it with a clean environment and has checked the link.
 */
import open from 'open';

const [link] = process.argv.slice(2);
if (link === undefined) throw new Error('usage: open-link URL');
await open(link, { wait: true });
