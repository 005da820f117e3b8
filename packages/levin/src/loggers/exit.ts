const actions = new Set<() => void>();

/**
 * Does something when the process ends, by whatever but a signal that kills it: it is synchronous, and the last that is done.
 *
 * @returns a function that takes it back
 */
export function atExit(action: () => void): () => void {
  if (actions.size === 0) process.once("exit", runAll);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0) process.removeListener("exit", runAll);
  };
}

function runAll(): void {
  for (const action of actions) {
    try {
      action();
    } catch (error) {
      process.stderr.write(`A logger could not write at the end of the process: ${String(error)}\n`);
    }
  }
}
