import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError } from "@levin/torch";
import { checkStrings } from "../argument-checks.js";
import { addPrefix, Logger, type Metrics } from "./logger.js";

/** Options of the loggers that write into a folder for each run. */
export interface FolderLoggerOptions {
  /** The experiment's folder; "" or null for none. Default: `"lightning_logs"`. */
  name?: string | null;
  /** The run's folder: a name, or N for `version_N`. Default: the next number that is free. */
  version?: string | number;
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
}

/** A logger that writes into the folder `saveDir/name/version_N`. */
export abstract class FolderLogger extends Logger {
  readonly name: string;
  readonly #saveDir: string;
  readonly #prefix: string;
  #version: string | number | undefined;

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: FolderLoggerOptions) {
    super();
    const { name = "lightning_logs", version, prefix = "" } = options;
    if (typeof saveDir !== "string") {
      throw new ArgumentError(
        `${this.constructor.name}: saveDir must be the path of a folder, got ${String(saveDir)}.`,
      );
    }
    checkStrings(this.constructor.name, { name: name ?? "" });
    this.#saveDir = saveDir;
    this.name = name ?? "";
    this.#version = version;
    this.#prefix = prefix;
  }

  get version(): string | number {
    this.#version ??= nextVersion(this.rootDir);
    return this.#version;
  }

  override get saveDir(): string {
    return this.#saveDir;
  }

  override get rootDir(): string {
    return join(this.#saveDir, this.name);
  }

  override get logDir(): string {
    return join(this.rootDir, versionFolder(this.version));
  }

  /** Metrics under the names that they have in the log. */
  protected withPrefix(metrics: Metrics): Metrics {
    return addPrefix(metrics, this.#prefix);
  }
}

/** The number after the highest one among the folders `version_N`, 0 where there is none. */
function nextVersion(folder: string): number {
  let next = 0;
  for (const entry of entriesOf(folder)) {
    const number = /^version_(\d+)/.exec(entry.name)?.[1];
    if (number !== undefined && entry.isDirectory()) next = Math.max(next, Number(number) + 1);
  }
  return next;
}

/** The name of a version's folder. */
function versionFolder(version: string | number): string {
  return typeof version === "string" ? version : `version_${version}`;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
