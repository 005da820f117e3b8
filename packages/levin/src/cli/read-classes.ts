import { resolve } from "node:path";
import type * as compiler from "typescript/unstable/sync";
import type { ClassDescription, ClassRequest, Descriptions, OptionDescription } from "./description.js";
import { splitReference } from "./description.js";
import { initialValue, initialValuesOfOptions } from "./initial-values.js";
import { aliased, importable, openProgram, type SourceProgram } from "./source-program.js";
import { describeOption, TypeReader } from "./type-schema.js";

/** The classes whose constructors take first what the trainer gives. */
const madeByTrainer: Readonly<Record<string, string>> = {
  Optimizer: "params",
  LRScheduler: "optimizer",
  ReduceLROnPlateau: "optimizer",
};

/** Classes that do nothing before something is derived from them. */
const bare = new Set(["LightningModule", "LightningDataModule", "Callback", "Optimizer", "LRScheduler"]);

/** What was read, and of which files. */
export interface Reading extends Descriptions {
  readonly files: readonly string[];
}

/** Reads the classes of a request from the sources or declarations of their modules. `known`: what need not be read any more. */
export async function readClasses(request: ClassRequest, known: Descriptions): Promise<Reading> {
  const program = await openProgram(request);
  try {
    return new ClassReader(program, request, known).read();
  } finally {
    program.close();
  }
}

class ClassReader {
  readonly #program: SourceProgram;
  readonly #request: ClassRequest;
  readonly #known: Descriptions;
  readonly #types: TypeReader;
  /** What makes the objects: classes, and functions of the program. */
  readonly #makers = new Map<string, compiler.Symbol>();
  readonly #own: readonly string[];
  readonly #classes: Record<string, ClassDescription> = {};
  readonly #families: Record<string, string[]> = {};
  readonly #problems: Record<string, string> = {};

  constructor(program: SourceProgram, request: ClassRequest, known: Descriptions) {
    this.#program = program;
    this.#request = request;
    this.#known = known;
    this.#types = new TypeReader(program);
    for (const [name, symbol] of this.#ownClasses()) this.#makers.set(name, symbol);
    this.#own = [...this.#makers.keys()];
  }

  read(): Reading {
    const { references, named, own, families } = this.#request;
    for (const reference of references) this.#find(reference, () => this.#resolve(reference));
    for (const name of named) this.#find(name, () => this.#search(name));
    for (const name of own) if (name.includes(".")) this.#findMethod(name);
    const wanted = [...references, ...named];
    for (const name of [...own, ...wanted]) this.#describe(name);
    for (const name of [...families, ...Object.keys(this.#known.families)]) {
      const type = this.#made(name) ?? this.#interface(name);
      if (type) this.#types.families.set(name, type);
    }
    // describing the classes of a family may find further families
    const done = new Set<string>();
    for (;;) {
      const next = [...this.#types.families].find(([name]) => !done.has(name));
      if (!next) break;
      done.add(next[0]);
      this.#readFamily(...next, wanted);
    }
    return {
      classes: this.#classes,
      families: this.#families,
      problems: this.#problems,
      files: this.#program.program.getSourceFileNames(),
    };
  }

  /** The classes of levin, of `levin/cli` and of `torch.optim` by name. */
  *#ownClasses(): Generator<[string, compiler.Symbol]> {
    const { modules, compiler } = this.#program;
    const find = (module: compiler.Symbol | undefined, name: string) =>
      this.#exports(module).find(([each]) => each === name)?.[1];
    const optim = find(modules.get("@levin/torch"), "optim");
    for (const module of [
      find(optim, "lrScheduler"),
      optim,
      modules.get("levin"),
      modules.get("levin/cli"),
    ]) {
      for (const [name, symbol] of this.#exports(module)) {
        if ((symbol.flags & compiler.SymbolFlags.Class) !== 0) yield [name, symbol];
      }
    }
  }

  /** An interface of levin. */
  #interface(name: string): compiler.Type | undefined {
    const { modules, checker } = this.#program;
    const found = this.#exports(modules.get("levin")).find(([each]) => each === name);
    return found && checker.getDeclaredTypeOfSymbol(found[1]);
  }

  #exports(module: compiler.Symbol | undefined): [name: string, symbol: compiler.Symbol][] {
    const { checker, compiler } = this.#program;
    const symbols = module ? checker.getExportsOfModule(module) : [];
    return symbols.map((symbol) => [symbol.name, aliased(checker, symbol, compiler)]);
  }

  #find(name: string, find: () => compiler.Symbol | string): void {
    const found = find();
    if (typeof found === "string") this.#problems[name] = found;
    else this.#makers.set(name, found);
  }

  /** A method of a class, `Trainer.fit`: its arguments are described like those of a constructor. */
  #findMethod(name: string): void {
    const dot = name.lastIndexOf(".");
    const made = this.#made(name.slice(0, dot));
    const method = made && this.#program.checker.getPropertyOfType(made, name.slice(dot + 1));
    if (method) this.#makers.set(name, method);
  }

  /** What a reference names. Without a name, it is the default export, or the only class of the module. */
  #resolve(reference: string): compiler.Symbol | string {
    const { compiler, modules, program } = this.#program;
    const { module, exported } = splitReference(reference);
    const file = importable(module, this.#request.cwd);
    const symbol = modules.get(module);
    const isFile = file !== module;
    if (!symbol || (isFile && !program.getSourceFile(file))) return `there is no module ${module}`;
    const all = this.#exports(symbol);
    if (all.length === 0) return `there is no module ${module}, or it exports nothing`;
    if (exported !== null) {
      const found = all.find(([name]) => name === exported)?.[1];
      return (
        found ??
        `${module} has no export ${exported}; its exports are ${all.map(([name]) => name).join(", ")}`
      );
    }
    const classes = all.filter(([, each]) => (each.flags & compiler.SymbolFlags.Class) !== 0);
    const only = all.find(([name]) => name === "default") ?? (classes.length === 1 ? classes[0] : undefined);
    return (
      only?.[1] ??
      `${module} exports several classes: say which, as in ${module}#${classes[0]?.[0] ?? "Name"}`
    );
  }

  /** A class or function that is declared with this name in the sources of the program. */
  #search(name: string): compiler.Symbol | string {
    const { checker, program } = this.#program;
    const found: compiler.Symbol[] = [];
    for (const file of program.getSourceFileNames()) {
      if (file.includes("/node_modules/") || program.getSourceFileMetadata(file)?.isDefaultLibrary) continue;
      const statements = program.getSourceFile(file)?.statements ?? [];
      for (const statement of statements as readonly { name?: Parameters<typeof statementName>[0] }[]) {
        if (statementName(statement.name) !== name) continue;
        const symbol = checker.getSymbolAtLocation(statement.name as never);
        if (symbol) found.push(symbol);
      }
    }
    if (found.length === 1) return found[0]!;
    return found.length === 0
      ? `no class ${name} was found in the sources of the program`
      : `several classes of the program have the name ${name}`;
  }

  /** The type of the objects that a class or function makes. */
  #made(name: string): compiler.Type | undefined {
    const signature = this.#signature(name);
    return signature && this.#program.checker.getReturnTypeOfSignature(signature);
  }

  #signature(name: string): compiler.Signature | undefined {
    const { checker, compiler } = this.#program;
    const symbol = this.#makers.get(name);
    const type = symbol && checker.getTypeOfSymbol(symbol);
    if (!type) return undefined;
    const { Construct, Call } = compiler.SignatureKind;
    return [Construct, Call].flatMap((kind) => checker.getSignaturesOfType(type, kind))[0];
  }

  /** Whether what a class makes is of a class (by inheritance: those with type parameters are not assignable) or interface. */
  #isA(name: string, family: compiler.Type | undefined): boolean {
    const { checker, compiler } = this.#program;
    const made = this.#made(name);
    if (!made || !family) return false;
    const symbol = family.getSymbol();
    if (!symbol || (symbol.flags & compiler.SymbolFlags.Class) === 0) {
      return checker.isTypeAssignableTo(made, family);
    }
    const isBelow = (type: compiler.Type): boolean =>
      type.getSymbol()?.id === symbol.id || basesOf(type).some(isBelow);
    return isBelow(made);
  }

  #readFamily(family: string, type: compiler.Type, wanted: readonly string[]): void {
    const known = this.#known.families[family];
    const own = known ? [] : this.#own.filter((name) => !bare.has(name));
    const members = [...own, ...wanted].filter(
      (name) => this.#makers.has(name) && !this.#signature(name)?.isAbstract && this.#isA(name, type),
    );
    this.#families[family] = [...new Set([...(known ?? []), ...members])].sort();
    for (const name of members) this.#describe(name);
  }

  #describe(name: string): void {
    const symbol = this.#makers.get(name);
    if (name in this.#classes || name in this.#known.classes || !symbol) return;
    const { checker } = this.#program;
    const documentation = checker.getDocumentationCommentOfSymbol(symbol).trim();
    const signature = this.#signature(name);
    if (!signature) {
      this.#problems[name] = `${name} is no class`;
      return;
    }
    const given = signature.getParameters();
    const first = given[0]?.name;
    const parameters = Object.values(madeByTrainer).includes(first ?? "")
      ? given.filter((_, i) => i > 0 || !this.#isMadeByTrainer(name, first!))
      : given;
    const options: OptionDescription[] = [];
    const described = parameters.map((parameter, i) => {
      const spread = this.#spread(parameter, i === parameters.length - 1);
      if (!spread) {
        options.push(this.#describeParameter(parameter));
        return { name: parameter.name, spread: null };
      }
      const fresh = spread.filter((option) => options.every((known) => known.name !== option.name));
      options.push(...fresh);
      return { name: parameter.name, spread: fresh.map((option) => option.name) };
    });
    this.#classes[name] = {
      name: splitReference(name).exported ?? symbol.name,
      documentation,
      parameters: described,
      options,
    };
  }

  #isMadeByTrainer(name: string, first: string): boolean {
    return Object.entries(madeByTrainer).some(
      ([family, parameter]) => parameter === first && this.#isA(name, this.#made(family)),
    );
  }

  /** The options of a parameter that is an options object: the last one, where it has named options and nothing else. */
  #spread(parameter: compiler.Symbol, last: boolean): OptionDescription[] | null {
    const { checker } = this.#program;
    const type = checker.getTypeOfSymbol(parameter);
    if (!last || !type) return null;
    const options = this.#types.optionsType(checker.getNonNullableType(type));
    if (!options) return null;
    const node = parameter.valueDeclaration?.resolve();
    return this.#types.optionsOf(options, node ? initialValuesOfOptions(node) : new Map());
  }

  #describeParameter(parameter: compiler.Symbol): OptionDescription {
    const { checker } = this.#program;
    const node = parameter.valueDeclaration?.resolve();
    const fields = (node ?? {}) as { questionToken?: unknown; initializer?: unknown };
    const documentation = checker.getDocumentationCommentOfSymbol(parameter).trim();
    return describeOption({
      name: parameter.name,
      schema: this.#types.schemaOf(checker.getTypeOfSymbol(parameter)),
      documentation,
      required: fields.questionToken === undefined && fields.initializer === undefined,
      default: (node && initialValue(node)) ?? this.#types.documentedDefault(parameter, documentation),
    });
  }
}

/** The base types of a class; of one with type arguments, those of the class itself. */
function basesOf(type: compiler.Type): readonly compiler.Type[] {
  const declared = type.isTypeReference() ? type.getTarget() : type;
  return declared.getBaseTypes() ?? [];
}

function statementName(name: { text?: string } | undefined): string | undefined {
  return name?.text;
}

/** The files that were read, without TypeScript's own and the one that was made up. */
export function sourcesOf(files: readonly string[], cwd: string): string[] {
  const virtual = resolve(cwd, "levin.virtual");
  return files.filter((file) => !file.startsWith(virtual) && !/[\\/]@?typescript[\\/]/.test(file));
}
