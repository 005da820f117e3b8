/** A Python interpreter that has PyTorch and Lightning: the one that the interop tests use, made on first use. */
export async function referencePython(): Promise<string> {
  const { ensurePython } = await import(new URL("../../scripts/setup/python.mjs", import.meta.url).href);
  return ensurePython();
}
