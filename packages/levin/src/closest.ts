import { closestMatch } from "leven";

/** The name among the known ones that may have been meant. */
export function closest(name: string, known: readonly string[]): string | undefined {
  const lower = known.find((each) => each.toLowerCase() === name.replaceAll(/[_-]/g, "").toLowerCase());
  return lower ?? closestMatch(name, known, { maxDistance: Math.max(2, Math.floor(name.length / 3)) });
}
