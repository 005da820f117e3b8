/** One flag of a command line: `--trainer.maxEpochs 3`, `--trainer.callbacks+ EarlyStopping`, `--trainer.fastDevRun`. */
export interface Flag {
  /** As it was written, without its value. */
  readonly text: string;
  /** Its name: `trainer.maxEpochs`. */
  readonly name: string;
  /** Null where it has none. */
  readonly value: string | null;
  /** Whether the value is added to a list. */
  readonly appends: boolean;
}

/** The flags of a command line, and what stands between them. */
export function readFlags(args: readonly string[]): { flags: Flag[]; others: string[] } {
  const flags: Flag[] = [];
  const others: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const given = args[i]!;
    const arg = given === "-c" ? "--config" : given === "-h" ? "--help" : given;
    if (!arg.startsWith("--") || arg === "--") {
      others.push(given);
      continue;
    }
    const equals = arg.indexOf("=");
    const text = equals < 0 ? arg : arg.slice(0, equals);
    let value = equals < 0 ? null : arg.slice(equals + 1);
    // a value may begin with one minus: it is a negative number
    if (value === null && !isSwitch(text) && i + 1 < args.length && !args[i + 1]!.startsWith("--")) {
      value = args[++i]!;
    }
    const appends = text.endsWith("+");
    flags.push({ text, name: text.slice(2, appends ? -1 : undefined), value, appends });
  }
  return { flags, others };
}

const isSwitch = (text: string) =>
  /^--(help|printConfig|print-config|print_config|printSchema|print-schema)$/.test(text);

/** The flags that environment variables stand for: `PL_TRAINER__MAX_EPOCHS` for `--trainer.maxEpochs`. */
export function readEnvironment(prefix: string, groups: readonly string[]): Flag[] {
  const { [`${prefix}_CONFIG`]: config, ...others } = process.env;
  const flags: Flag[] = [];
  if (config) flags.push({ text: `${prefix}_CONFIG`, name: "config", value: config, appends: false });
  for (const [text, value] of Object.entries(others).sort()) {
    const names = text.startsWith(`${prefix}_`) ? text.slice(prefix.length + 1).split("__") : [];
    const group = groups.find((key) => key.toUpperCase() === names[0]?.replaceAll("_", ""));
    if (group === undefined || value === undefined) continue;
    flags.push({ text, name: [group, ...names.slice(1).map(camelCase)].join("."), value, appends: false });
  }
  return flags;
}

const camelCase = (name: string): string =>
  name.toLowerCase().replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
