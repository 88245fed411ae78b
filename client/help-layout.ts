/**
 * Help that fits the terminal: two columns where they fit, and a flag that is wider than its column has its meaning on
 * the lines below. Left alone, commander makes the column as wide as the widest flag, and folds nothing beside it.
 */
import { Help } from 'commander';
import type { HelpConfiguration } from 'commander';

const SHARE = 0.4;
const INDENT = 2;
const GAP = 2;

function widthOf(helper: Help): number {
  return helper.helpWidth ?? 80;
}

export const HELP_LAYOUT: HelpConfiguration = {
  showGlobalOptions: true,
  // Of what is beside the flags: with commander's 40, a terminal of 60 columns has every line cut.
  minWidthToWrap: 16,
  padWidth: (command, helper) => Math.min(Help.prototype.padWidth.call(helper, command, helper), Math.floor(widthOf(helper) * SHARE)),
  formatItem(term, termWidth, description, helper) {
    if (description === '' || helper.displayWidth(term) <= termWidth) return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
    const indent = INDENT + termWidth + GAP;
    const lines = helper.boxWrap(description, widthOf(helper) - indent).split('\n');
    return [`${' '.repeat(INDENT)}${term}`, ...lines.map((line) => `${' '.repeat(indent)}${line}`)].join('\n');
  },
};
