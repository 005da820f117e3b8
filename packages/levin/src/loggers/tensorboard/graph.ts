import * as torch from "@levin/torch";
import { type nn, type RemovableHandle, Tensor } from "@levin/torch";
import { mapTensors } from "../../tree.js";
import { encode, type Fields } from "../protobuf.js";
import { shapeOf } from "./summary.js";

/** A node of TensorBoard's graph. */
interface Node {
  name: string;
  op: string;
  inputs: string[];
  /** The shape of its (first) output. */
  shape?: readonly number[];
  description?: string;
}

/** A tensor that a node gave, by which what is computed from it is recognized. */
interface Source {
  tensor: Tensor;
  node: string;
}

/** The version of the form of graphs that PyTorch's SummaryWriter writes. */
const producer = 22;

/**
 * Runs a model once and gives the graph of what happened as a GraphDef: a node for each call of a module that calls no other, with
 * its parameters, and from where its inputs came. Operators between modules are part of the lines between them.
 *
 * The outputs of modules are cut off from their history and made to want gradients; on what an input depends, autograd then tells.
 */
export function recordGraph(model: nn.Module, input: Tensor | readonly unknown[]): Uint8Array {
  const modes = model.modules().map((module) => [module, module.training] as const);
  const recorder = new Recorder(model);
  try {
    model.eval();
    const forward = (model.forward as (...args: unknown[]) => unknown).bind(model);
    torch.forkRng(() =>
      torch.enableGrad(() => {
        const args = input instanceof Tensor ? [input] : input;
        recorder.addOutputs(forward(...args.map((arg, i) => recorder.addInput(arg, i))));
      }),
    );
  } finally {
    recorder.close();
    for (const [module, training] of modes) module.training = training;
  }
  return encode((graph) => {
    for (const node of recorder.nodes) graph.message(1, nodeFields(node));
    graph.message(4, (versions) => versions.int(1, producer));
  });
}

class Recorder {
  readonly nodes: Node[] = [];
  readonly #sources: Source[] = [];
  /** The tensors as they were passed on; a value may come from there without a gradient. */
  readonly #known = new Map<Tensor, string>();
  readonly #names = new Set<string>();
  readonly #handles: RemovableHandle[] = [];
  /** Whether the modules that are running have called others. */
  readonly #running: { callsOthers: boolean; inputs: string[] }[] = [];

  constructor(model: nn.Module) {
    const scopes = new Map<string, string>();
    for (const [path, module] of model.namedModules()) {
      const parts = path.split(".");
      const parent = path === "" ? "" : `${scopes.get(parts.slice(0, -1).join("."))}/`;
      const name = module.constructor.name;
      const scope = path === "" ? name : `${parent}${name}[${parts.at(-1)}]`;
      scopes.set(path, scope);
      this.#handles.push(
        module.registerForwardPreHook((_, args) => this.#enter(args)),
        module.registerForwardHook((_, _args, output) => this.#leave(module, scope, output)),
      );
    }
  }

  addInput(value: unknown, i: number): unknown {
    const node = this.#add({ name: `input/${i}`, op: "IO Node", inputs: [], shape: shapeIn(value) });
    return this.#follow(value, node);
  }

  addOutputs(output: unknown): void {
    const outputs = Array.isArray(output) ? output : [output];
    for (const [i, value] of outputs.entries()) {
      this.#add({
        name: `output/output.${i + 1}`,
        op: "IO Node",
        inputs: this.#sourcesOf(value),
        shape: shapeIn(value),
      });
    }
  }

  close(): void {
    for (const handle of this.#handles) handle.remove();
  }

  #enter(args: unknown[]): void {
    const caller = this.#running.at(-1);
    if (caller) caller.callsOthers = true;
    // before the call: the module may change its inputs in place
    this.#running.push({ callsOthers: false, inputs: this.#sourcesOf(args) });
  }

  #leave(module: nn.Module, scope: string, output: unknown): unknown {
    const { callsOthers, inputs } = this.#running.pop()!;
    if (callsOthers) return undefined;
    const parameters = [...module.namedParameters()].map(([name, parameter]) => {
      const node = { name: `${scope}/${name}`, op: "prim::GetAttr", inputs: [], shape: parameter.shape };
      return this.#names.has(node.name) ? node.name : this.#add(node);
    });
    const node = this.#add({
      name: `${scope}/forward`,
      op: module.constructor.name,
      inputs: [...inputs, ...parameters],
      shape: shapeIn(output),
      description: String(module),
    });
    return this.#follow(output, node);
  }

  #add(node: Node): string {
    let name = node.name;
    for (let i = 1; this.#names.has(name); i++) name = `${node.name}_${i}`;
    this.#names.add(name);
    this.nodes.push({ ...node, name });
    return name;
  }

  /** The same values, of which it is known that they come from a node. */
  #follow(value: unknown, node: string): unknown {
    return mapTensors(value, (tensor) => {
      if (!torch.isFloatingPoint(tensor) && !torch.isComplex(tensor)) {
        const same = tensor.detach();
        this.#known.set(same, node);
        return same;
      }
      const leaf = tensor.detach().requiresGrad_();
      const passedOn = leaf.clone(); // a leaf may not be changed in place
      this.#sources.push({ tensor: leaf, node });
      this.#known.set(passedOn, node);
      return passedOn;
    });
  }

  #sourcesOf(value: unknown): string[] {
    const found = new Set<string>();
    mapTensors(value, (tensor) => {
      const known = this.#known.get(tensor);
      if (known !== undefined) found.add(known);
      else for (const node of this.#dependencies(tensor)) found.add(node);
      return tensor;
    });
    return [...found];
  }

  #dependencies(tensor: Tensor): string[] {
    if (!tensor.requiresGrad || this.#sources.length === 0) return [];
    const gradients = torch.autograd.grad(
      tensor,
      this.#sources.map((source) => source.tensor),
      { gradOutputs: [torch.onesLike(tensor)], allowUnused: true, retainGraph: true },
    );
    return this.#sources.filter((_, i) => gradients[i]).map((source) => source.node);
  }
}

function shapeIn(value: unknown): readonly number[] | undefined {
  if (value instanceof Tensor) return value.shape;
  return Array.isArray(value) && value[0] instanceof Tensor ? value[0].shape : undefined;
}

function nodeFields({ name, op, inputs, shape, description }: Node): Fields {
  return (node) => {
    node.string(1, name).string(2, op);
    for (const input of inputs) node.string(3, input);
    if (description !== undefined)
      node.message(5, (entry) => entry.string(1, "attr").message(2, (value) => value.string(2, description)));
    if (!shape) return;
    node.message(5, (entry) =>
      entry
        .string(1, "_output_shapes")
        .message(2, (value) => value.message(1, (list) => list.message(7, shapeOf(shape)))),
    );
  };
}
