/** Progress on one line of a terminal; nothing where there is none. A note stays, and is there without one as well. */
export function progressLine(): { step(text: string): void; note(text: string): void; done(): void } {
  const terminal = process.stderr.isTTY;
  return {
    note: (text) => void process.stderr.write(`${terminal ? '\r\x1b[K' : ''}cloudhsm-local: ${text}\n`),
    step: (text) => {
      if (terminal) process.stderr.write(`\r\x1b[K${text} …`);
    },
    done: () => {
      if (terminal) process.stderr.write('\r\x1b[K');
    },
  };
}

const styled = (code: number) => (text: string) =>
  process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text;

export const bold = styled(1);
export const dim = styled(2);

/** Columns padded to their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
