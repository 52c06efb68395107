import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { type DeviationId, deviationIds, deviations, isDeviationId } from '../../src/objects/deviations.js';
import { projectRoot } from './engine.js';

export const pageFile = join(projectRoot, 'docs', 'COMPATIBILITY.md');
/** What test/interop/profiles.test.ts has seen clients do, as committed. */
export const resultsFile = join(projectRoot, 'docs', 'compatibility-results.json');

const deviationId = z.string().refine(isDeviationId) as unknown as z.ZodType<DeviationId>;
const resultsSchema = z.array(
  z.object({
    client: z.string(),
    does: z.string(),
    /** What the readiness report says of it in the compatible profile, where it works. */
    deviations: z.array(deviationId),
    /** What CloudHSM's answer is in the strict profile, or null where it works there too. */
    refused: z.object({ call: z.string(), code: z.string(), deviation: deviationId }).nullable(),
  }),
);

/** A client doing one thing, in both profiles. */
export type ClientResult = z.infer<typeof resultsSchema>[number];

export function committedResults(): ClientResult[] {
  return resultsSchema.parse(JSON.parse(readFileSync(resultsFile, 'utf8')));
}

/** Columns padded as a formatter of Markdown does it. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function deviationSection(id: DeviationId): string {
  const { does, answer, words, because, why, fix, source, advisory } = deviations[id];
  const said = words === undefined ? '' : ` (\`${words}\`)`;
  return [
    `### ${id}`,
    '',
    `A program ${does}. CloudHSM answers **${answer}**${said}: ${because}.`,
    '',
    `- Why programs do it: ${why}.`,
    `- To fix it: ${fix}.`,
    `- Known from: reference section ${source}.`,
    ...(advisory ? ['- Advisory: it is in the report, and `--fail-on-deviation` leaves it alone.'] : []),
  ].join('\n');
}

function clientRow({ client, does, deviations: used, refused }: ClientResult): string[] {
  const strict = refused === null ? 'works' : `${refused.call}: ${refused.code} (${refused.deviation})`;
  return [client, does, used.length === 0 ? 'works' : `works, with ${used.join(', ')}`, strict];
}

/** docs/COMPATIBILITY.md. */
export function compatibilityPage(results: readonly ClientResult[]): string {
  return `# What CloudHSM refuses

This page is made by \`npm run compatibility\` from the rows of \`src/objects/deviations.ts\` and from what the tests in
\`test/interop/profiles.test.ts\` saw clients do. A test compares it.

The profile \`compatible\`, the default, allows what is listed here and records it: \`cloudhsm-local report\` names the programs.
The profile \`strict\` answers as CloudHSM does. What is refused in both profiles alike is not on this page.

## Clients

As Debian 12 and npm have them, with the configurations of \`conf/\`; each does what is needed and no more. "Works, with …" is what
the readiness report says.

${markdownTable(['client', 'does', '`compatible`', '`strict`'], results.map(clientRow))}

## Deviations

Certainty of the sources: [doc] the user guide, [sample] programs of AWS, [seen] others have seen it, [guess] nobody has said it in
public.

${deviationIds.map(deviationSection).join('\n\n')}
`;
}
