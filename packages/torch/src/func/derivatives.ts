import { enterDualLevel, exitDualLevel, makeDual, unpackDual } from "../autograd/forward-ad.js";
import { grad as gradients } from "../autograd.js";
import { ArgumentError } from "../errors.js";
import { enableGrad } from "../grad-mode.js";
import { eye, zerosLike } from "../ops.generated.js";
import { Tensor } from "../tensor.js";
import { enter, inLayer, leave } from "./layer.js";
import { mapTensors, rebuild, type Tree, tensorsIn } from "./tree.js";
import { vmap } from "./vmap.js";

/** Which arguments are differentiated, counted from 0. */
export type Argnums = number | readonly number[];

/** What a function gives: an output, or with `hasAux` a pair of it and of something that is not differentiated. */
type WithAux<R> = { output: R; aux: unknown };

/** Options of the derivatives that are functions. */
export interface TransformOptions {
  /** The arguments that are differentiated. Default: the first. */
  argnums?: Argnums;
  /** The function gives `[output, aux]`, of which only the first is differentiated. Default: false. */
  hasAux?: boolean;
}

function separate<R>(name: string, result: unknown, hasAux: boolean): WithAux<R> {
  if (!hasAux) return { output: result as R, aux: undefined };
  if (!Array.isArray(result) || result.length !== 2)
    throw new ArgumentError(`${name}: with hasAux, the function must give an array [output, aux]`);
  return { output: result[0] as R, aux: result[1] };
}

function chosen(name: string, args: readonly unknown[], argnums: Argnums): unknown {
  const pick = (i: number): unknown => {
    const at = i < 0 ? i + args.length : i;
    if (!Number.isInteger(i) || at < 0 || at >= args.length)
      throw new ArgumentError(`${name}: argnums must name some of the ${args.length} arguments, got ${i}`);
    return args[at];
  };
  return typeof argnums === "number" ? pick(argnums) : argnums.map(pick);
}

/** The tensors of a tree outside the level. */
const leaveAll = (value: unknown, level: number): unknown =>
  mapTensors(value, (tensor) => leave(tensor, level));

/** Gradients of outputs, zeros for inputs that they do not depend on. */
function gradientsOf(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  vectors: readonly (Tensor | null)[],
): Tensor[] {
  const places = outputs.flatMap((output, i) => (output.requiresGrad ? [i] : []));
  if (places.length === 0) return inputs.map((input) => zerosLike(input));
  const found = gradients(
    places.map((i) => outputs[i] as Tensor),
    inputs,
    { gradOutputs: places.map((i) => vectors[i] ?? null), createGraph: true, allowUnused: true },
  );
  return found.map((gradient, i) => gradient ?? zerosLike(inputs[i] as Tensor));
}

/**
 * A function that gives the gradients of another one, which has one value, and that value: `[gradients, value]`, with `hasAux`
 * `[gradients, [value, aux]]`. What TypeScript can't know, the form of several gradients or with `hasAux`, is named: `gradAndValue<A, G, V>`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.grad_and_value.html
 */
export function gradAndValue<A extends unknown[], G = Tensor, V = Tensor>(
  func: (...args: A) => unknown,
  options: TransformOptions = {},
): (...args: A) => [gradients: G, value: V] {
  const { argnums = 0, hasAux = false } = options;
  return (...args) =>
    inLayer("grad", (level) =>
      enableGrad(() => {
        const entered = mapTensors(args, (tensor) => enter(tensor, level)) as A;
        const wanted = chosen("grad", entered, argnums);
        const inputs = tensorsIn(wanted).map((tensor) => tensor.requiresGrad_());
        const { output, aux } = separate<Tensor>("grad", func(...entered), hasAux);
        if (!(output instanceof Tensor) || output.numel() !== 1 || output.ndim > 0) {
          throw new ArgumentError(
            `grad: the function must give a Tensor without dimensions, got ${output instanceof Tensor ? `shape [${output.shape}]` : typeof output}`,
          );
        }
        const found = rebuild(wanted, gradientsOf([output], inputs, [null]));
        const value = hasAux ? [output, aux] : output;
        return [leaveAll(found, level), leaveAll(value, level)] as [G, V];
      }),
    );
}

/**
 * A function that gives the gradients of another one, which has one value; with `hasAux` `[gradients, aux]`.
 *
 * ```ts
 * func.grad((x) => x.sin())(torch.tensor(1))      // cos(1)
 * ```
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.grad.html
 */
export function grad<A extends unknown[], G = Tensor>(
  func: (...args: A) => unknown,
  options: TransformOptions = {},
): (...args: A) => G {
  const both = gradAndValue<A, unknown, unknown>(func, options);
  return (...args) => {
    const [found, value] = both(...args);
    return (options.hasAux ? [found, (value as unknown[])[1]] : found) as G;
  };
}

/** The product of vectors of the outputs' form with the Jacobian: one of each input's form. */
export type VjpFunction = (...cotangents: Tree[]) => Tensor[];

/**
 * The outputs of a function, and a function that gives the product of a vector with its Jacobian: `[output, vjpFunction]`, with
 * `hasAux` `[output, vjpFunction, aux]`.
 *
 * @param primals the arguments
 * @see https://pytorch.org/docs/stable/generated/torch.func.vjp.html
 */
export function vjp<A extends readonly unknown[], R>(
  func: (...args: A) => R,
  primals: readonly [...A],
  options: { hasAux?: boolean } = {},
): [output: R, vjp: VjpFunction, aux?: unknown] {
  const { hasAux = false } = options;
  return inLayer("grad", (level) =>
    enableGrad(() => {
      const entered = mapTensors(primals, (tensor) => enter(tensor, level)) as unknown as A;
      const inputs = tensorsIn(entered).map((tensor) => tensor.requiresGrad_());
      const { output, aux } = separate<R>("vjp", func(...entered), hasAux);
      const outputs = tensorsIn(output);
      const product: VjpFunction = (...cotangents) => {
        const vectors = tensorsIn(cotangents);
        if (vectors.length !== outputs.length)
          throw new ArgumentError(
            `vjp: ${outputs.length} cotangents like the outputs are required, got ${vectors.length}`,
          );
        return enableGrad(() => rebuild(entered, gradientsOf(outputs, inputs, vectors)) as Tensor[]);
      };
      const result: [R, VjpFunction, unknown?] = [leaveAll(output, level) as R, product];
      if (hasAux) result.push(leaveAll(aux, level));
      return result;
    }),
  );
}

let depth = 0;

/** Enters the one level of dual numbers, unless an outer transform has. */
function inDualLevel<T>(body: () => T): T {
  const level = depth === 0 ? enterDualLevel() : -1;
  depth += 1;
  try {
    return body();
  } finally {
    depth -= 1;
    if (level >= 0) exitDualLevel({ level });
  }
}

/**
 * The outputs of a function and the product of its Jacobian with a vector, in one pass: `[output, tangent]`, with `hasAux`
 * `[output, tangent, aux]`.
 *
 * @param tangents of the primals' form
 * @see https://pytorch.org/docs/stable/generated/torch.func.jvp.html
 */
export function jvp<A extends readonly unknown[], R>(
  func: (...args: A) => R,
  primals: readonly [...A],
  tangents: readonly Tree[],
  options: { hasAux?: boolean } = {},
): [output: R, tangent: R, aux?: unknown] {
  const { hasAux = false } = options;
  const [points, directions] = [tensorsIn(primals), tensorsIn(tangents)];
  if (points.length !== directions.length)
    throw new ArgumentError(
      `jvp: tangents must have the form of the ${points.length} primals, got ${directions.length} Tensors`,
    );
  return inLayer("jvp", (level) =>
    inDualLevel(() => {
      const duals = points.map((point, i) => makeDual(point, directions[i] as Tensor, { level: 0 }));
      const { output, aux } = separate<R>("jvp", func(...(rebuild(primals, duals) as unknown as A)), hasAux);
      const parts = tensorsIn(output).map((dual) => unpackDual(dual, { level: 0 }));
      const values = parts.map(({ primal }) => leave(primal, level));
      const derivatives = parts.map(({ primal, tangent }) => leave(tangent ?? zerosLike(primal), level));
      const result: [R, R, unknown?] = [rebuild(output, values) as R, rebuild(output, derivatives) as R];
      if (hasAux) result.push(leaveAll(aux, level));
      return result;
    }),
  );
}

/** The unit vectors of all tensors together: for each tensor, its part of each. */
function unitVectors(tensors: readonly Tensor[]): Tensor[] {
  const counts = tensors.map((tensor) => tensor.numel());
  const total = counts.reduce((sum, count) => sum + count, 0);
  let from = 0;
  return tensors.map((tensor, i) => {
    const part = eye(total, { dtype: tensor.dtype, device: tensor.device }).narrow(
      1,
      from,
      counts[i] as number,
    );
    from += counts[i] as number;
    return part.reshape([total, ...tensor.shape]);
  });
}

/** Splits a dimension of unit vectors back into the tensors that they are of. */
function splitBy(stacked: Tensor, tensors: readonly Tensor[], dim: number): Tensor[] {
  return stacked.splitWithSizes(
    tensors.map((tensor) => tensor.numel()),
    dim,
  );
}

/** The function of the chosen arguments alone. */
function ofChosen(
  func: (...args: never[]) => unknown,
  args: readonly unknown[],
  argnums: Argnums,
): (...chosen: unknown[]) => unknown {
  const places = (typeof argnums === "number" ? [argnums] : argnums).map((i) =>
    i < 0 ? i + args.length : i,
  );
  return (...values) => {
    const all = [...args];
    for (const [k, place] of places.entries()) all[place] = values[k];
    return func(...(all as never[]));
  };
}

/** Options of {@link jacrev} and {@link jacfwd}. */
export interface JacobianTransformOptions extends TransformOptions {
  /** How many rows are computed at once; less takes less memory. Default: all. */
  chunkSize?: number;
  /** How random operators behave: an error, the same numbers for all rows, or different ones. Default: `"error"`. */
  randomness?: "error" | "same" | "different";
}

/**
 * A function that gives all derivatives of another one, by rows: for an output of shape S and an argument of shape T of shape S + T.
 * Several outputs or arguments give nested arrays, outputs on the outside; with `hasAux` `[jacobian, aux]`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.jacrev.html
 */
export function jacrev<A extends unknown[], J = Tensor>(
  func: (...args: A) => unknown,
  options: JacobianTransformOptions = {},
): (...args: A) => J {
  const { argnums = 0, hasAux = false, chunkSize } = options;
  return (...args) => {
    const wanted = chosen("jacrev", args, argnums);
    const inputs = tensorsIn(wanted);
    const primals = typeof argnums === "number" ? [wanted] : (wanted as unknown[]);
    const [output, product, aux] = vjp(ofChosen(func as never, args, argnums), primals, { hasAux });
    const outputs = tensorsIn(output);
    const rows = vmap(
      (...vectors: Tensor[]) => tensorsIn(product(rebuild(output, vectors) as Tree)),
      chunked(chunkSize),
    )(...unitVectors(outputs));
    const jacobian = outputs.map((one, o) =>
      rebuild(
        wanted,
        inputs.map((input, i) =>
          (splitBy(rows[i] as Tensor, outputs, 0)[o] as Tensor).reshape([...one.shape, ...input.shape]),
        ),
      ),
    );
    const shaped = rebuild(output, jacobian);
    return (hasAux ? [shaped, aux] : shaped) as J;
  };
}

const chunked = (chunkSize: number | undefined): { chunkSize?: number } =>
  chunkSize === undefined ? {} : { chunkSize };

/**
 * A function that gives all derivatives of another one, by columns: better than {@link jacrev} where there are more outputs than
 * inputs.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.jacfwd.html
 */
export function jacfwd<A extends unknown[], J = Tensor>(
  func: (...args: A) => unknown,
  options: JacobianTransformOptions = {},
): (...args: A) => J {
  const { argnums = 0, hasAux = false, randomness = "error", chunkSize } = options;
  return (...args) => {
    const wanted = chosen("jacfwd", args, argnums);
    const inputs = tensorsIn(wanted);
    const primals = typeof argnums === "number" ? [wanted] : (wanted as unknown[]);
    const single = ofChosen(func as never, args, argnums);
    const push = (...directions: Tensor[]): unknown[] => {
      const [output, tangent, aux] = jvp(single, primals, rebuild(primals, directions) as Tree[], { hasAux });
      return hasAux ? [output, tangent, aux] : [output, tangent];
    };
    const [outputs_, columns, aux] = vmap(push, { randomness, ...chunked(chunkSize) })(
      ...unitVectors(inputs),
    ) as [unknown, unknown, unknown];
    // The outputs are the same for each direction.
    const outputs = tensorsIn(outputs_).map((output) => output.select(0, 0));
    const jacobian = tensorsIn(columns).map((stacked, o) => {
      const byInput = splitBy(stacked.movedim(0, -1), inputs, -1);
      const { shape } = outputs[o] as Tensor;
      return rebuild(
        wanted,
        byInput.map((part, i) => part.reshape([...shape, ...(inputs[i] as Tensor).shape])),
      );
    });
    const shaped = rebuild(outputs_, jacobian);
    return (hasAux ? [shaped, mapTensors(aux, (tensor) => tensor.select(0, 0))] : shaped) as J;
  };
}

/**
 * A function that gives all second derivatives of another one: `jacfwd(jacrev(func))`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.hessian.html
 */
export function hessian<A extends unknown[], J = Tensor>(
  func: (...args: A) => unknown,
  options: { argnums?: Argnums } = {},
): (...args: A) => J {
  return jacfwd(jacrev(func, options), options);
}

/**
 * The outputs of a function, and a function that gives the product of its Jacobian at that point with a vector.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.func.linearize.html
 */
export function linearize<A extends readonly unknown[], R>(
  func: (...args: A) => R,
  ...primals: A
): [output: R, jvp: (...tangents: Tree[]) => R] {
  return [func(...primals), (...tangents) => jvp(func, primals as never, tangents)[1]];
}
