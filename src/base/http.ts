/**
 * The path and query that a request's target names. Clients that know of proxies send the absolute form, which every server must
 * accept; what it says of the host stands in for the Host header, which nothing here depends on (RFC 9112, section 3.2.2).
 */
export function originForm(target: string): string {
  const [absolute] = /^https?:\/\/[^/?#]+/i.exec(target) ?? [];
  if (absolute === undefined) return target;
  const rest = target.slice(absolute.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
