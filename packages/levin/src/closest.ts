import { closestMatch } from "leven";

/** What to say of the name of an option that there isn't. */
export function misnamed(name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  return meant ? `should be ${meant}` : `is none of the options: ${known.join(", ")}`;
}

/** The name among the known ones that may have been meant. */
export function closest(name: string, known: readonly string[]): string | undefined {
  const lower = known.find((each) => each.toLowerCase() === name.replaceAll(/[_-]/g, "").toLowerCase());
  return lower ?? closestMatch(name, known, { maxDistance: Math.max(2, Math.floor(name.length / 3)) });
}
