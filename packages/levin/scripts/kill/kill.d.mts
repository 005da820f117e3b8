/** What is tried. */
export const variants: string[];
/** Kills a run so many times. */
export function killAndResume(
  variant: string,
  kills: number,
  seed: number,
): Promise<{ kills: number; read: number; same: boolean }>;
