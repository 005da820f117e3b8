import { isQuiet } from "../messages.js";

/** Prints the metrics of an evaluation, one column per loader. */
export function printResults(results: Record<string, number>[], stage: "validate" | "test"): void {
  if (isQuiet()) return;
  const named = results.map((metrics) =>
    Object.fromEntries(
      Object.entries(metrics).map(([name, value]) => [name.replace(/\/dataloader_idx_\d+$/, ""), value]),
    ),
  );
  const names = [...new Set(named.flatMap((metrics) => Object.keys(metrics)))];
  if (names.length === 0) return;
  const title = stage === "test" ? "Test metric" : "Validate metric";
  const header = [title, ...named.map((_, i) => `DataLoader ${i}`)];
  const rows = names.map((name) => [
    name,
    ...named.map((metrics) => (name in metrics ? String(metrics[name]) : "")),
  ]);
  const widths = header.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("   ")
      .trimEnd();
  console.log(
    [line(header), widths.map((width) => "-".repeat(width)).join("   "), ...rows.map(line)].join("\n"),
  );
}
