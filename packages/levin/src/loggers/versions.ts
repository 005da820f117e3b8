import { readdirSync } from "node:fs";

/** The number after the highest one among the folders `version_N`, 0 where there is none. */
export function nextVersion(folder: string): number {
  let next = 0;
  for (const entry of entriesOf(folder)) {
    const number = /^version_(\d+)/.exec(entry.name)?.[1];
    if (number !== undefined && entry.isDirectory()) next = Math.max(next, Number(number) + 1);
  }
  return next;
}

/** The name of a version's folder. */
export function versionFolder(version: string | number): string {
  return typeof version === "string" ? version : `version_${version}`;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
