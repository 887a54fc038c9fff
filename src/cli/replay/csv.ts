/** Fields of one line of CSV (RFC 4180, without line breaks inside quotes); null: a quote is not closed. */
export function csvFields(line: string): string[] | null {
  if (!line.includes('"')) return line.split(',');
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] !== '"') {
      const end = line.indexOf(',', at);
      fields.push(line.slice(at, end < 0 ? line.length : end));
      at = end < 0 ? line.length + 1 : end + 1;
      continue;
    }
    let field = '';
    for (at++; ; ) {
      const quote = line.indexOf('"', at);
      if (quote < 0) return null;
      field += line.slice(at, quote);
      at = quote + 1;
      if (line[at] !== '"') break;
      field += '"';
      at++;
    }
    if (at < line.length && line[at] !== ',') return null;
    fields.push(field);
    at++;
  }
  return fields;
}
