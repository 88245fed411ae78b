import type { Command } from 'commander';
import { choice, collect, examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { auditKey, auditTrace, auditVerify } from './audit-proof.ts';
import type { VerifyOptions } from './audit-proof.ts';
import { auditExport, auditSearch, auditTail, EXPORT_FORMATS } from './audit-read.ts';
import type { ExportOptions, SearchOptions, TailOptions } from './audit-read.ts';
import { auditReport } from './audit-report.ts';
import type { ReportOptions } from './audit-report.ts';

function withFilter(command: Command): Command {
  return command
    .option('--profile <NAME>', 'of this profile')
    .option('--caller <WHO>', 'a program by its path or name, an agent, a class (human, agent, workload), a unit or a pid')
    .option('--event <EVENT>', 'such as token_released; may be repeated', collect)
    .option('--since <TIME>', '30m, 2h, 7d, or a date of UTC')
    .option('--until <TIME>', 'likewise')
    .option('--request <ID>', 'the request of a problem document or a log line')
    .option('--token <FINGERPRINT>', 'a token by its fingerprint, as in facts.token; never the token itself');
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey audit tail -f', 'valetkey audit search --profile work --since 2h', 'valetkey audit verify'));

  command.command('tail').description('Show the last records')
    .option('-f, --follow', 'and those to come')
    .option('-n, --lines <COUNT>', 'how many (default: 20)')
    .addHelpText('after', examples('valetkey audit tail -n 50', 'valetkey audit tail -f'))
    .action(async (options: TailOptions) => auditTail(context, options));

  withFilter(command.command('search').description('Show the records that match'))
    .option('--limit <COUNT>', 'the last so many (default: 1000)')
    .addHelpText('after', examples('valetkey audit search --event token_released --caller /usr/bin/git --since 1d', 'valetkey audit search --caller agent --json', 'valetkey audit search --event detected'))
    .action(async (options: SearchOptions) => auditSearch(context, options));

  command.command('verify').description('Prove that no record was altered, taken out or put in')
    .option('--key <X>', 'the public key that has to have signed, as "audit key" printed it')
    .addHelpText('after', examples('valetkey audit verify', 'valetkey audit verify --key "$(cat ~/valetkey-audit.key)" --json'))
    .action(async (options: VerifyOptions) => auditVerify(context, options));

  command.command('key').description('Print the public key that signs the log')
    .addHelpText('after', examples('valetkey audit key > ~/valetkey-audit.key', 'valetkey audit key --json    # a JWK'))
    .action(async () => auditKey(context));

  withFilter(command.command('export').description('Write records for a collector, one a line'))
    .addOption(choice('--format <FORMAT>', 'jsonl: as they stand in the file; ocsf: OCSF 1.4; syslog: RFC 5424 (default: jsonl)', EXPORT_FORMATS))
    .option('-f, --follow', 'and those to come')
    .addHelpText('after', examples('valetkey audit export --format ocsf --since 1d > day.jsonl', 'valetkey audit export --format syslog --follow | nc -q1 collector.example 514'))
    .action(async (options: ExportOptions) => auditExport(context, options));

  command.command('trace').description('From a token on standard input to the login, the grant, and everybody who took it')
    .addHelpText('after', examples('valetkey audit trace < leaked.txt', 'pbpaste | valetkey audit trace --json'))
    .action(async () => auditTrace(context));

  command.command('report').description('Write a page that shows who took what when')
    .option('--html', 'as one HTML page that needs nothing else (the only form, and the default)')
    .option('-o, --output <FILE>', 'to this file, readable by you alone (default: standard output)')
    .option('--since <TIME>', '30m, 2h, 7d, or a date of UTC (default: 7d)')
    .addHelpText('after', examples('valetkey audit report --html -o report.html', 'valetkey audit report --since 1d > day.html'))
    .action(async (options: ReportOptions) => auditReport(context, options));
};
