/**
 * Setting parameters to zero for good: the parameter becomes `weight_orig`, a buffer `weight_mask` says what is kept.
 *
 * @see https://docs.pytorch.org/tutorials/intermediate/pruning_tutorial.html
 */
import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import { Tensor } from "../../tensor.js";
import type { Module } from "../module.js";
import { fieldOf, removeMember, stateNameOf } from "../module-members.js";
import { Parameter } from "../parameter.js";
import { parametersToVector } from "./convert-parameters.js";
import {
  addTensorHook,
  findTensorHook,
  removeTensorHook,
  type TensorHook,
  tensorHooks,
} from "./tensor-hook.js";

/** What a method looks at: single values, slices along its `dim`, or all at once. */
export type PruningType = "unstructured" | "structured" | "global";

/** Options of pruning by importance. */
export interface ImportanceOptions {
  /** What the values are judged by, of their shape. Default: the values themselves. */
  importanceScores?: Tensor | null;
}

/** Options of {@link BasePruningMethod.prune}. */
export interface PruneOptions extends ImportanceOptions {
  /** What has been pruned before. Default: nothing. */
  defaultMask?: Tensor | null;
}

type Fields = Record<string, Tensor>;

const fields = (module: Module): Fields => module as unknown as Fields;

function checkScores(scores: Tensor | null | undefined, values: Tensor): Tensor {
  if (scores === null || scores === undefined) return values;
  if (scores.shape.join() === values.shape.join()) return scores;
  throw new ArgumentError(
    `importanceScores should have the shape of what is pruned, [${values.shape}], but has [${scores.shape}].`,
  );
}

/**
 * A way to choose what is set to zero: a subclass says in `computeMask` what is kept.
 *
 * ```ts
 * class EverySecond extends nn.utils.prune.BasePruningMethod {
 *   override computeMask(values: Tensor, defaultMask: Tensor) {
 *     const mask = defaultMask.clone();
 *     mask.view([-1]).set(slice(null, null, 2), 0);
 *     return mask;
 *   }
 * }
 * new EverySecond().apply(linear, "weight");
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.BasePruningMethod.html
 */
export abstract class BasePruningMethod {
  /** What the method looks at. Default: single values. */
  readonly pruningType: PruningType = "unstructured";
  /** The dimension of the slices, for the structured methods. */
  readonly dim?: number;

  /** A mask of ones, for what is kept, and zeros, of the shape of the values. */
  abstract computeMask(values: Tensor, defaultMask: Tensor): Tensor;

  /** Prunes a parameter of a module, on top of what has been pruned before. */
  apply(module: Module, name: string, options: ImportanceOptions = {}): void {
    applyPruning(this, module, name, options.importanceScores);
  }

  /** The values pruned, without a module. */
  prune(values: Tensor, options: PruneOptions = {}): Tensor {
    const scores = checkScores(options.importanceScores, values);
    return values.mul(this.computeMask(scores, options.defaultMask ?? ops.onesLike(values)));
  }
}

/**
 * Pruning methods, one on top of the other.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.PruningContainer.html
 */
export class PruningContainer extends BasePruningMethod implements Iterable<BasePruningMethod> {
  private readonly methods: BasePruningMethod[];

  constructor(...methods: BasePruningMethod[]) {
    super();
    this.methods = methods;
  }

  /** Adds a method on top. */
  addPruningMethod(method: BasePruningMethod): void {
    this.methods.push(method);
  }

  /** How many methods there are. */
  get length(): number {
    return this.methods.length;
  }

  [Symbol.iterator](): Iterator<BasePruningMethod> {
    return this.methods[Symbol.iterator]();
  }

  /** The mask with what the last method prunes of what was left. */
  override computeMask(values: Tensor, defaultMask: Tensor): Tensor {
    const method = this.methods.at(-1);
    if (method === undefined)
      throw new ArgumentError("PruningContainer: there is no method; add one with addPruningMethod.");
    const mask = defaultMask.to({ dtype: values.dtype, copy: true });
    switch (method.pruningType) {
      case "global":
        return mask.copy_(method.computeMask(values, defaultMask));
      case "unstructured": {
        const left = defaultMask.eq(1);
        return mask.set(left, method.computeMask(values.get(left), defaultMask.get(left)).to(mask.dtype));
      }
      case "structured": {
        const dim = sliceDim(values, method.dim ?? -1);
        const others = values.shape.map((_, d) => d).filter((d) => d !== dim);
        const left = defaultMask.sum(others).nonzero().squeeze(1);
        const part = method.computeMask(values.indexSelect(dim, left), defaultMask.indexSelect(dim, left));
        return mask.indexCopy_(dim, left, part.to(mask.dtype));
      }
    }
  }
}

/** Prunes nothing: it only makes the parameter one with a mask. */
export class Identity extends BasePruningMethod {
  override computeMask(_values: Tensor, defaultMask: Tensor): Tensor {
    return defaultMask;
  }
}

function checkAmount(amount: number): number {
  if (Number.isFinite(amount) && amount >= 0 && (amount <= 1 || Number.isInteger(amount))) return amount;
  throw new ArgumentError(
    `amount=${String(amount)} should either be a share in [0, 1] or a whole number of values.`,
  );
}

/** How many of `size` an amount is. Halves are rounded to even numbers, as Python does. */
function countOf(amount: number, size: number): number {
  if (Number.isInteger(amount)) {
    if (amount <= size) return amount;
    throw new ArgumentError(
      `amount=${amount} should be smaller than the number of parameters to prune=${size}.`,
    );
  }
  const exact = amount * size;
  const below = Math.floor(exact);
  if (exact - below === 0.5) return below % 2 === 0 ? below : below + 1;
  return Math.round(exact);
}

/** A mask with zeros at places of the flattened values. */
function without(mask: Tensor, places: Tensor): Tensor {
  const result = mask.contiguous().clone();
  result.view([-1]).set(places, 0);
  return result;
}

/**
 * Prunes values at random.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.RandomUnstructured.html
 */
export class RandomUnstructured extends BasePruningMethod {
  readonly amount: number;

  /** @param amount how many values; below 1, which share of them */
  constructor(amount: number) {
    super();
    this.amount = checkAmount(amount);
  }

  override computeMask(values: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, values.numel());
    if (count === 0) return defaultMask.clone();
    return without(defaultMask, ops.randLike(values).view([-1]).topk(count).indices);
  }
}

/**
 * Prunes the values with the smallest magnitude.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.L1Unstructured.html
 */
export class L1Unstructured extends BasePruningMethod {
  readonly amount: number;

  /** @param amount how many values; below 1, which share of them */
  constructor(amount: number) {
    super();
    this.amount = checkAmount(amount);
  }

  override computeMask(values: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, values.numel());
    if (count === 0) return defaultMask.clone();
    return without(defaultMask, values.abs().view([-1]).topk(count, { largest: false }).indices);
  }
}

/** The dimension of slices, counted from the start. */
function sliceDim(values: Tensor, dim: number): number {
  const dims = values.ndim;
  if (dims <= 1) {
    throw new ArgumentError(
      `Structured pruning can only be applied to multidimensional tensors, but this one has shape [${values.shape}].`,
    );
  }
  if (!Number.isInteger(dim) || dim >= dims || dim < -dims) {
    throw new ArgumentError(`dim ${String(dim)} is out of range for a tensor of shape [${values.shape}].`);
  }
  return dim < 0 ? dim + dims : dim;
}

/** A mask in which only some slices are kept. */
function slices(values: Tensor, defaultMask: Tensor, dim: number, kept: Tensor): Tensor {
  const mask = ops.zerosLike(values).indexFill_(dim, kept, 1);
  return mask.mul_(defaultMask.to(mask.dtype));
}

/**
 * Prunes slices along a dimension at random.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.RandomStructured.html
 */
export class RandomStructured extends BasePruningMethod {
  override readonly pruningType = "structured";
  readonly amount: number;
  override readonly dim: number;

  /** @param amount how many slices; below 1, which share of them */
  constructor(amount: number, { dim = -1 }: { dim?: number } = {}) {
    super();
    this.amount = checkAmount(amount);
    this.dim = dim;
  }

  override computeMask(values: Tensor, defaultMask: Tensor): Tensor {
    const dim = sliceDim(values, this.dim);
    const size = values.size(dim);
    const count = countOf(this.amount, size);
    if (count === 0) return defaultMask;
    const chances = ops.rand([size]);
    const kept = chances.gt(chances.kthvalue(count).values).nonzero().squeeze(1);
    return slices(values, defaultMask, dim, kept.to(values.device));
  }
}

/** A norm: its order, or `"fro"`, or `"nuc"` for the sum of a matrix' singular values. */
export type NormOrder = number | "fro" | "nuc";

/**
 * Prunes the slices along a dimension that have the smallest norm.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.LnStructured.html
 */
export class LnStructured extends BasePruningMethod {
  override readonly pruningType = "structured";
  readonly amount: number;
  readonly n: NormOrder;
  override readonly dim: number;

  /**
   * @param amount how many slices; below 1, which share of them
   * @param n which norm
   */
  constructor(amount: number, n: NormOrder, { dim = -1 }: { dim?: number } = {}) {
    super();
    this.amount = checkAmount(amount);
    this.n = n;
    this.dim = dim;
  }

  override computeMask(values: Tensor, defaultMask: Tensor): Tensor {
    const dim = sliceDim(values, this.dim);
    const size = values.size(dim);
    const count = countOf(this.amount, size);
    const kept = normsOf(values, this.n, dim).topk(size - count, { largest: true }).indices;
    return count === 0 ? defaultMask : slices(values, defaultMask, dim, kept);
  }
}

function normsOf(values: Tensor, order: NormOrder, dim: number): Tensor {
  const others = values.shape.map((_, d) => d).filter((d) => d !== dim);
  const isMatrix = others.length === 2;
  if (order === "nuc" || (order === "fro" && isMatrix)) {
    return ops.linalg.matrixNorm(values, order, isMatrix ? others : [-2, -1]);
  }
  return ops.linalg.vectorNorm(values, order === "fro" ? 2 : order, others);
}

/** Prunes what a given mask says. */
export class CustomFromMask extends BasePruningMethod {
  override readonly pruningType = "global";
  readonly mask: Tensor;

  constructor(mask: Tensor) {
    super();
    this.mask = mask;
  }

  override computeMask(_values: Tensor, defaultMask: Tensor): Tensor {
    if (defaultMask.shape.join() !== this.mask.shape.join()) {
      throw new ArgumentError(
        `the mask has shape [${this.mask.shape}]; it must have [${defaultMask.shape}].`,
      );
    }
    return defaultMask.mul(this.mask.to(defaultMask.dtype));
  }
}

/** The hook of a pruned parameter, with the method that pruned it. */
interface PruningHook extends TensorHook {
  method: BasePruningMethod;
}

const kind = "prune";

function applyPruning(
  method: BasePruningMethod,
  module: Module,
  name: string,
  importanceScores: Tensor | null | undefined,
): void {
  const field = fieldOf(module, name);
  const key = stateNameOf(module, field);
  const values = fields(module)[field];
  if (!(values instanceof Tensor))
    throw new ArgumentError(`${module.constructor.name} has no parameter "${name}".`);
  const scores = checkScores(importanceScores, values);
  const found = findTensorHook<PruningHook>(module, kind, field);
  if (found !== null) {
    const hook = found[1];
    const container =
      hook.method instanceof PruningContainer ? hook.method : new PruningContainer(hook.method);
    const mask = new PruningContainer(method).computeMask(scores, fields(module)[`${field}Mask`] as Tensor);
    container.addPruningMethod(method);
    hook.method = container;
    fields(module)[`${field}Mask`] = mask;
    fields(module)[field] = hook.compute(module);
    return;
  }
  if (!(values instanceof Parameter))
    throw new ArgumentError(`${module.constructor.name} has no parameter "${name}".`);
  const mask = method.computeMask(scores, ops.onesLike(values));
  removeMember(module, field);
  module.registerParameter(`${field}Orig`, values, { stateName: `${key}_orig` });
  module.registerBuffer(`${field}Mask`, mask, { stateName: `${key}_mask` });
  const compute = (target: Module): Tensor => {
    const { [`${field}Orig`]: original, [`${field}Mask`]: kept } = fields(target) as Record<string, Tensor>;
    return (kept as Tensor).to((original as Tensor).dtype).mul(original as Tensor);
  };
  fields(module)[field] = compute(module);
  const hook: PruningHook = {
    kind,
    field,
    method,
    compute,
    restore(target) {
      const original = fields(target)[`${field}Orig`] as Parameter;
      original.data = compute(target).data;
      for (const suffix of ["", "Orig", "Mask"]) removeMember(target, field + suffix);
      target.registerParameter(field, original);
    },
  };
  addTensorHook(module, hook);
}

/** Makes a parameter one with a mask, of ones. */
export function identity<M extends Module>(module: M, name: string): M {
  new Identity().apply(module, name);
  return module;
}

/**
 * Prunes values of a parameter at random.
 *
 * @param amount how many values; below 1, which share of them
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.random_unstructured.html
 */
export function randomUnstructured<M extends Module>(module: M, name: string, amount: number): M {
  new RandomUnstructured(amount).apply(module, name);
  return module;
}

/**
 * Prunes the values of a parameter with the smallest magnitude.
 *
 * @param amount how many values; below 1, which share of them
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.l1_unstructured.html
 */
export function l1Unstructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  options: ImportanceOptions = {},
): M {
  new L1Unstructured(amount).apply(module, name, options);
  return module;
}

/**
 * Prunes slices of a parameter along a dimension at random.
 *
 * @param amount how many slices; below 1, which share of them
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.random_structured.html
 */
export function randomStructured<M extends Module>(module: M, name: string, amount: number, dim: number): M {
  new RandomStructured(amount, { dim }).apply(module, name);
  return module;
}

/**
 * Prunes the slices of a parameter along a dimension that have the smallest norm.
 *
 * @param amount how many slices; below 1, which share of them
 * @param n which norm
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.ln_structured.html
 */
export function lnStructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  n: NormOrder,
  dim: number,
  options: ImportanceOptions = {},
): M {
  new LnStructured(amount, n, { dim }).apply(module, name, options);
  return module;
}

/**
 * Prunes what a mask says.
 *
 * @param mask ones for what is kept, of the parameter's shape
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.custom_from_mask.html
 */
export function customFromMask<M extends Module>(module: M, name: string, mask: Tensor): M {
  new CustomFromMask(mask).apply(module, name);
  return module;
}

/** Options of {@link globalUnstructured}. */
export interface GlobalUnstructuredOptions {
  /** How many values of all parameters together; below 1, which share of them. */
  amount: number;
  /** What the values of each parameter are judged by, in the order of the parameters. Default: the values themselves. */
  importanceScores?: readonly (Tensor | null)[];
}

/**
 * Prunes values of several parameters as if they were one.
 *
 * ```ts
 * const { prune } = nn.utils;
 * prune.globalUnstructured([[first, "weight"], [second, "weight"]], prune.L1Unstructured, { amount: 0.2 });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.global_unstructured.html
 */
export function globalUnstructured(
  parameters: Iterable<readonly [module: Module, name: string]>,
  pruningMethod: new (amount: number) => BasePruningMethod,
  { amount, importanceScores = [] }: GlobalUnstructuredOptions,
): void {
  const method = new pruningMethod(amount);
  if (method.pruningType !== "unstructured") {
    throw new ArgumentError(
      `globalUnstructured: only methods of type "unstructured" can be used, but ${pruningMethod.name} is "${method.pruningType}".`,
    );
  }
  const places = [...parameters].map(([module, name]) => {
    const field = fieldOf(module, name);
    const values = fields(module)[field] as Tensor;
    return { module, name, values, mask: fields(module)[`${field}Mask`] ?? ops.onesLike(values) };
  });
  const scores = parametersToVector(places.map(({ values }, i) => importanceScores[i] ?? values));
  const before = parametersToVector(places.map(({ mask }) => mask));
  const mask = new PruningContainer(method).computeMask(scores, before);
  const parts = mask.splitWithSizes(places.map(({ values }) => values.numel()));
  places.forEach(({ module, name, values }, i) => {
    customFromMask(module, name, (parts[i] as Tensor).viewAs(values));
  });
}

/**
 * Makes a pruned parameter an ordinary one again; what was pruned stays zero.
 *
 * @throws ArgumentError where it was not pruned
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.remove.html
 */
export function remove<M extends Module>(module: M, name: string): M {
  return removeTensorHook(module, kind, name);
}

/** Whether a parameter of a module, or of one below it, has been pruned. */
export function isPruned(module: Module): boolean {
  return module.modules().some((part) => tensorHooks(part, kind).length > 0);
}
