/** Python's notation of values, in which modules and optimizers describe themselves as PyTorch's do. */

/** A number as Python writes a float: `1.0`, `0.1`, `1e-05`, `inf`. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, "0");
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
  }
  const plain = Math.abs(value) < 1e-6 ? value.toFixed(20).replace(/0+$/, "") : String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

/** A value as Python writes it: `True`, `None`, `(3, 3)`, `'same'`; numbers without fraction are integers. */
export function repr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value}'`;
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : floatRepr(value);
  if (Array.isArray(value))
    return value.length === 1 ? `(${repr(value[0])},)` : `(${value.map(repr).join(", ")})`;
  return String(value);
}

/** `Name(...)` with the lines of a module and those of its children. */
export function block(name: string, extra: string, children: string[]): string {
  const extraLines = extra === "" ? [] : extra.split("\n");
  if (children.length === 0 && extraLines.length <= 1) return `${name}(${extra})`;
  return `${name}(\n  ${[...extraLines, ...children].join("\n  ")}\n)`;
}

/** Text whose further lines are moved in by two spaces. */
export function indented(text: string): string {
  return text.replaceAll("\n", "\n  ");
}
