/** Rows as a text table: columns as wide as their widest cell. */
export function layOut(rows: readonly (readonly (string | undefined)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      widths
        .map((width, at) => (row[at] ?? "").padEnd(width))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
