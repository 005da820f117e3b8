import { ArgumentError } from "@levin/torch";
import { encode, type Fields } from "../protobuf.js";
import type { SummaryValue } from "./event-file.js";
import { pluginSummary } from "./summary.js";

/** A hyperparameter, as TensorBoard keeps it. */
export type HparamValue = number | string | boolean;

/** The numbers of the types of hyperparameters. */
const types = { string: 1, boolean: 2, number: 3 } as const;
/** The number of the status of a run that ended well. */
const success = 1;

/**
 * What TensorBoard's hparams plugin wants to know: what there is, the values of this run, and that it ended well.
 *
 * @param domains all values that a hyperparameter can have, by name
 */
export function hparamsSummaries(
  params: Record<string, HparamValue>,
  metrics: readonly string[],
  domains: Record<string, readonly HparamValue[]> = {},
): SummaryValue[] {
  const entries = Object.entries(params);
  for (const [name, values] of Object.entries(domains)) {
    if (values.some((value) => typeof value !== typeof params[name])) {
      throw new ArgumentError(
        `addHparams: hparamDomainDiscrete.${name} must hold values of the type of the hyperparameter ${name}.`,
      );
    }
  }
  const plugin = (name: string, field: number, fields: Fields) =>
    pluginSummary(
      `_hparams_/${name}`,
      "hparams",
      encode((data) => data.message(field, fields)),
    );
  return [
    plugin("experiment", 2, (experiment) => {
      for (const [name, value] of entries) {
        experiment.message(4, (info) => {
          info.string(1, name).int(4, types[typeof value as keyof typeof types]);
          const domain = domains[name];
          if (!domain) return;
          info.message(5, (list) => {
            for (const value of domain) list.message(1, protobufValue(value));
          });
        });
      }
      for (const metric of metrics) {
        experiment.message(5, (info) => info.message(1, (name) => name.string(2, metric)));
      }
    }),
    plugin("session_start_info", 3, (start) => {
      for (const [name, value] of entries) {
        start.message(1, (entry) => entry.string(1, name).message(2, protobufValue(value)));
      }
    }),
    plugin("session_end_info", 4, (end) => end.int(1, success)),
  ];
}

/** A google.protobuf.Value. */
function protobufValue(value: HparamValue): Fields {
  return (message) => {
    if (typeof value === "number") message.double(2, value);
    else if (typeof value === "string") message.string(3, value);
    else message.bool(4, value);
  };
}
