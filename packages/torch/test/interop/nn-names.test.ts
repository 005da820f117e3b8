import { nn } from "@levin/torch";
import { beforeAll, describe, expect, it } from "vitest";
import { askPython } from "./ask-python.js";

/** The names of PyTorch that levin leaves out, by namespace, with the reason. */
const leftOut: Record<string, Record<string, string>> = {
  nn: {
    Container: "an error since PyTorch 0.2: Module, Sequential, ModuleList and ModuleDict are meant",
    LinearCrossEntropyOptions: "a plain object of the type of that name",
    factory_kwargs: "sorts Python's keyword arguments",
  },
  "nn.functional": {
    ScalingType: "an argument of scaled_mm",
    SwizzleType: "an argument of scaled_mm",
    assert_int_or_pair: "internal",
    boolean_dispatch: "internal",
    handle_torch_function: "Python's protocol for other tensor types",
    has_torch_function: "Python's protocol for other tensor types",
    has_torch_function_unary: "Python's protocol for other tensor types",
    has_torch_function_variadic: "Python's protocol for other tensor types",
  },
  "nn.init": Object.fromEntries(
    "constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal xavier_uniform"
      .split(" ")
      .map((name) => [name, `deprecated since PyTorch 0.4: ${name}_`]),
  ),
  "nn.utils": { clip_grad_norm: "deprecated: clip_grad_norm_" },
  "nn.utils.rnn": { bind: "internal", copy_method_params: "internal", PackedSequence_: "internal" },
  "nn.utils.parametrize": {
    CustomClassBase: "internal",
    get_swap_module_params_on_conversion: "internal",
    is_opaque_symbolic_type: "internal",
    is_traceable_wrapper_subclass: "internal",
  },
  "nn.utils.parametrizations": {},
  "nn.utils.prune": {},
  "nn.utils.stateless": { NamedMemberAccessor: "internal" },
  "nn.grad": {},
  "nn.Module": {
    compile: "there is no compiler",
    share_memory: "memory is shared with worker threads by share(tensor)",
    register_backward_hook: "deprecated: register_full_backward_hook",
    ipu: "libtorch has no such device",
    mtia: "libtorch has no such device",
    xpu: "to('xpu')",
    T_destination: "a type variable",
    call_super_init: "a switch of Python's constructors",
    dump_patches: "for modules that were pickled with their source",
  },
};

const namespaces: Record<string, object> = {
  nn,
  "nn.functional": nn.functional,
  "nn.init": nn.init,
  "nn.utils": nn.utils,
  "nn.utils.rnn": nn.utils.rnn,
  "nn.utils.parametrize": nn.utils.parametrize,
  "nn.utils.parametrizations": nn.utils.parametrizations,
  "nn.utils.prune": nn.utils.prune,
  "nn.utils.stateless": nn.utils.stateless,
  "nn.grad": nn.grad,
  "nn.Module": nn.Module.prototype,
};

/** The public functions and classes of each namespace, but for those that are only imported there. */
const listing = `
import inspect, torch
from torch import nn
import torch.nn.utils.prune, torch.nn.utils.parametrizations
answer = {}
for space in given:
    module = eval(space, {"nn": nn})
    names = [n for n in dir(module) if not n.startswith("_")]
    values = {n: getattr(module, n) for n in names}
    answer[space] = [n for n, v in values.items() if (space == "nn.Module" or callable(v)) and not inspect.ismodule(v)
                     and (getattr(v, "__module__", None) or "torch").startswith("torch")
                     and not (space != "nn" and v in (torch.Tensor, nn.Module, nn.Parameter, nn.ModuleDict, nn.ModuleList))]
`;

const camelCase = (name: string) =>
  name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());

describe.skipIf(!process.env.LEVIN_PYTHON)(
  "every name of PyTorch's torch.nn is there or left out for a reason",
  () => {
    let names: Record<string, string[]> = {};

    beforeAll(() => {
      names = askPython(listing, Object.keys(namespaces));
    });

    it.each(Object.keys(namespaces))("%s", (space) => {
      const has = (name: string) =>
        name in (namespaces[space] as object) || camelCase(name) in (namespaces[space] as object);
      const missing = (names[space] ?? []).filter((name) => !has(name));
      expect(missing.sort()).toEqual(Object.keys(leftOut[space] ?? {}).sort());
    });
  },
);
