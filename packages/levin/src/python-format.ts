// JavaScript rounds to the larger of two equally near results, Python to the one with an even last digit. Where this
// makes a difference, a double has all its digits within the 60 after those that are kept.
const spare = 60;

/** What remains of exact digits by leaving the last ones out, where Python's rounding does that and JavaScript's doesn't. */
function evenOfTwo(exact: string, left: number): string | null {
  const kept = exact.slice(0, -left).replace(/\.$/, "");
  return /^50*$/.test(exact.slice(-left)) && Number(kept.at(-1)) % 2 === 0 ? kept : null;
}

/** A number with a fixed count of decimals, as Python's `f"{value:.{digits}f}"`. */
export function formatFixed(value: number, digits: number): string {
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}${digits === 0 ? "" : `.${"0".repeat(digits)}`}`;
  const left = Math.min(spare, 100 - digits);
  return evenOfTwo(value.toFixed(digits + left), left) ?? value.toFixed(digits);
}

/** A number with an exponent, as Python's `f"{value:.{digits}e}"`. */
function formatExponent(value: number, digits: number): string {
  const left = Math.min(spare, 100 - digits);
  const [exact, exactPower] = value.toExponential(digits + left).split("e") as [string, string];
  const [mantissa, power] = value.toExponential(digits).split("e") as [string, string];
  const even = evenOfTwo(exact, left);
  return even === null ? `${mantissa}e${twoDigits(power)}` : `${even}e${twoDigits(exactPower)}`;
}

/** A number with so many significant digits, as Python's `f"{value:.{digits}g}"`. */
export function formatGeneral(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
  if (exponent >= -4 && exponent < digits) {
    const fixed = formatFixed(value, digits - 1 - exponent);
    return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  }
  return formatExponent(value, digits - 1).replace(/\.?0*e/, "e");
}

/** A float with so many significant digits and a decimal point, as Python's `f"{value:.{digits}}"`. */
export function formatShort(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  const exponent = value === 0 ? 0 : Number(value.toExponential(digits - 1).split("e")[1]);
  if (exponent === digits - 1) return formatExponent(value, digits - 1).replace(/\.?0*e/, "e");
  const text = formatGeneral(value, digits);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** A float as Python writes it: `0.1`, `1.0`, `1e-05`, `nan`. */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  if (value !== 0 && (Number(power) < -4 || Number(power) >= 16)) return `${mantissa}e${twoDigits(power)}`;
  const text = Object.is(value, -0) ? "-0" : plain(value);
  return text.includes(".") ? text : `${text}.0`;
}

/**
 * A number by a format specification of Python: "", "d", "03d", ".2f", "8.3e", ".4g", ".1%" and the like.
 *
 * @param isFloat whether Python would have a float, not an int
 * @throws RangeError where the specification is of another kind, or "d" is given for a float
 */
export function formatNumber(value: number, specification: string, isFloat: boolean): string {
  const match = /^(0?)(\d*)(?:(?:\.(\d+))?([feg%])|(d))?$/.exec(specification);
  if (!match)
    throw new RangeError(`the format "${specification}" is not known: write d, 03d, .2f, .3e, .4g or .1%`);
  const [, zero, width, precision, kind = "", whole] = match;
  if (whole && isFloat) {
    throw new RangeError(
      `the format "${specification}" is for whole numbers, the value is ${formatFloat(value)}`,
    );
  }
  const text = formatBody(value, kind, precision === undefined ? undefined : Number(precision), isFloat);
  if (!zero) return text.padStart(Number(width || 0));
  const sign = text.startsWith("-") ? "-" : "";
  return sign + text.slice(sign.length).padStart(Number(width || 0) - sign.length, "0");
}

function formatBody(value: number, kind: string, precision: number | undefined, isFloat: boolean): string {
  const percent = kind === "%" ? "%" : "";
  if (!Number.isFinite(value)) return notFinite(value) + percent;
  if (kind === "f") return formatFixed(value, precision ?? 6);
  if (kind === "%") return formatFixed(value * 100, precision ?? 6) + percent;
  if (kind === "e") return formatExponent(value, precision ?? 6);
  if (kind === "g") return formatGeneral(value, Math.max(1, precision ?? 6));
  return isFloat ? formatFloat(value) : plain(value);
}

/** A number with commas between thousands, as Python's `f"{value:,.{digits}f}"`. */
export function formatThousands(value: number, digits: number): string {
  const [whole, decimals] = formatFixed(value, digits).split(".") as [string, string?];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return decimals === undefined ? grouped : `${grouped}.${decimals}`;
}

function notFinite(value: number): string {
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

/** An exponent with a sign and at least two digits. */
function twoDigits(power: string): string {
  return power.replace(/^([+-])(\d)$/, "$10$2");
}

/** A number without an exponent, in as many digits as tell it apart from all others. */
function plain(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  const digits = mantissa.replace(/[-.]/g, "");
  const places = Number(power);
  const sign = value < 0 ? "-" : "";
  if (places < 0) return `${sign}0.${"0".repeat(-places - 1)}${digits}`;
  return sign + digits.padEnd(places + 1, "0");
}
