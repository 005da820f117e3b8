import type { Schema } from "./schema.js";

/** One option of a class: an argument of its constructor, or a property of its options object. */
export interface OptionDescription {
  readonly name: string;
  /** What it takes; undefined where no configuration can say it, such as a function. */
  readonly schema?: Schema;
  readonly documentation: string;
  readonly required: boolean;
  /** Undefined where the sources don't tell it. */
  readonly default?: unknown;
}

/** One argument of a constructor, or an object with several options. */
export interface ParameterDescription {
  readonly name: string;
  /** The names of its options, where it is an options object; null where it is an option itself. */
  readonly spread: readonly string[] | null;
}

/** A class (or a function that makes an object) as a configuration sees it. */
export interface ClassDescription {
  readonly name: string;
  readonly documentation: string;
  /** The arguments after those that levin gives itself (the parameters of an optimizer, the optimizer of a scheduler). */
  readonly parameters: readonly ParameterDescription[];
  readonly options: readonly OptionDescription[];
  /** Whether it has further options that could not be read. */
  readonly open?: boolean;
}

/** What was read of the classes of a program. */
export interface Descriptions {
  /** By the name or reference that a configuration uses. */
  readonly classes: Readonly<Record<string, ClassDescription>>;
  /** For each class or interface that options take objects of: its classes. */
  readonly families: Readonly<Record<string, readonly string[]>>;
  /** Why a reference could not be read. */
  readonly problems: Readonly<Record<string, string>>;
}

/** What is to be read. */
export interface ClassRequest {
  /** The folder that relative references start from. */
  readonly cwd: string;
  /** Classes of modules: `./src/model.ts#Classifier`, `./src/model.ts`, `a-package#Model`. */
  readonly references: readonly string[];
  /** Classes that are known by their name only, to be found among the sources of the program `entry`. */
  readonly named: readonly string[];
  readonly entry: string | null;
  /** Classes of levin, and methods of any class: `Trainer`, `Trainer.fit`. */
  readonly own: readonly string[];
  /** Classes of any of these, of which all subclasses are wanted. */
  readonly families: readonly string[];
}

/** A reference's module and export; the latter is null where the reference doesn't name one. */
export function splitReference(reference: string): { module: string; exported: string | null } {
  const hash = reference.lastIndexOf("#");
  if (hash < 0) return { module: reference, exported: null };
  return { module: reference.slice(0, hash), exported: reference.slice(hash + 1) };
}

/** Whether a text names a class of a module, and not one of levin's own. */
export function isReference(text: string): boolean {
  return /^[^#\s]+#[A-Za-z_$][\w$]*$/.test(text) || /^[^#\s]*[./\\][^#\s]*\.[cm]?[jt]sx?$/.test(text);
}
