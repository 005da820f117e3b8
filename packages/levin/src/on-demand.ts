import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A library that is read when it is first asked for: importing levin does not wait for what a program may never use. */
export function onDemand<Library>(name: string): () => Library {
  let library: Library | undefined;
  return () => {
    library ??= require(name) as Library;
    return library;
  };
}
