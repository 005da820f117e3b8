export { ConfigError, type Place, type Problem, type Values } from "./config.js";
export type { DumpOptions } from "./dump.js";
export type { ArgumentOptions, ClassOf } from "./groups.js";
export type { Maker } from "./instantiate.js";
export { LightningCLI, type LightningCLIOptions } from "./lightning-cli.js";
export {
  type ClassArgumentsOptions,
  LightningArgumentParser,
  type LinkOptions,
  type MadeByConfiguration,
  type ParseOptions,
  type ParserOptions,
} from "./parser.js";
export { ReduceLROnPlateau } from "./reduce-lr-on-plateau.js";
export { SaveConfigCallback, type SaveConfigOptions } from "./save-config-callback.js";
