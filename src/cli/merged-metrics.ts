/** One page from those of several processes: a family's samples stand together. */
export function mergedMetrics(pages: readonly string[]): string {
  const families = new Map<string, string[]>();
  // A process without HSMs says nothing.
  for (const block of pages.filter(Boolean).flatMap((page) => page.split(/^(?=# HELP )/m))) {
    const [help, type, ...samples] = block.trimEnd().split('\n');
    const head = `${help}\n${type}`;
    families.set(head, [...(families.get(head) ?? []), ...samples]);
  }
  return [...families].map(([head, samples]) => `${[head, ...samples].join('\n')}\n`).join('');
}
