/** Derivatives of functions, as functions: PyTorch's `torch.autograd.functional`. */
import { grad } from "../autograd.js";
import { ArgumentError } from "../errors.js";
import { enableGrad } from "../grad-mode.js";
import { eye, stack, zerosLike } from "../ops.generated.js";
import { Tensor } from "../tensor.js";
import { jvpColumns } from "./forward-ad.js";

/** One tensor, or several. */
export type Tensors = Tensor | readonly Tensor[];

/** The inputs as arguments of the function. */
export type Arguments<I extends Tensors> = I extends readonly Tensor[]
  ? { [K in keyof I]: Tensor }
  : [Tensor];

/** Something of the form of the inputs (or outputs): one tensor, or a list of as many. */
export type Like<T extends Tensors> = T extends Tensor ? Tensor : { -readonly [K in keyof T]: Tensor };

/** The derivative of each output for each input: lists of outputs on the outside. */
export type Jacobian<O extends Tensors, I extends Tensors> = O extends Tensor
  ? Like<I>
  : { -readonly [K in keyof O]: Like<I> };

/** The second derivative for each pair of inputs. */
export type Hessian<I extends Tensors> = I extends Tensor ? Tensor : { -readonly [K in keyof I]: Like<I> };

/** Options of the derivatives. */
export interface DerivativeOptions {
  /** Records the computation, so that the result can be differentiated. Default: false. */
  createGraph?: boolean;
  /** An error, rather than zeros, where an output does not depend on an input. Default: false. */
  strict?: boolean;
}

/** Options of {@link jacobian}. */
export interface JacobianOptions extends DerivativeOptions {
  /** Computes all rows (or columns) at once, which takes more memory. Default: false. */
  vectorize?: boolean;
  /** By rows, or by columns: better where there are more outputs than inputs; needs `vectorize`. Default: `"reverse-mode"`. */
  strategy?: "reverse-mode" | "forward-mode";
}

/** Options of {@link hessian}. */
export interface HessianOptions extends DerivativeOptions {
  /** Computes all rows at once, which takes more memory. Default: false. */
  vectorize?: boolean;
  /** How the outer derivative is computed. Default: `"reverse-mode"`. */
  outerJacobianStrategy?: "reverse-mode" | "forward-mode";
}

const list = (tensors: Tensors): readonly Tensor[] => (tensors instanceof Tensor ? [tensors] : tensors);
const shaped = <T>(like: Tensors, values: readonly T[]): T | readonly T[] =>
  like instanceof Tensor ? (values[0] as T) : values;

function checked(what: string, tensors: Tensors): readonly Tensor[] {
  const all = list(tensors);
  if (!Array.isArray(all) || !all.every((tensor) => tensor instanceof Tensor)) {
    throw new ArgumentError(`${what} must be a Tensor or an array of Tensors`);
  }
  return all;
}

/** The inputs cut off from what they were made of; still part of it where the result shall be differentiable. */
function separate(inputs: readonly Tensor[], createGraph: boolean): Tensor[] {
  return inputs.map((input) => {
    if (createGraph && input.requiresGrad) return input.viewAs(input);
    return input.detach().requiresGrad_();
  });
}

const finish = (tensor: Tensor, createGraph: boolean): Tensor => (createGraph ? tensor : tensor.detach());

interface Evaluated<O> {
  inputs: Tensor[];
  outputs: O;
  outputList: readonly Tensor[];
}

function evaluate<I extends Tensors, O extends Tensors>(
  name: string,
  func: (...inputs: Arguments<I>) => O,
  inputs: I,
  options: DerivativeOptions,
): Evaluated<O> {
  const separated = separate(checked(`${name}: inputs`, inputs), options.createGraph ?? false);
  const outputs = (func as unknown as (...inputs: Tensor[]) => O)(...separated);
  const outputList = checked(`${name}: the result of the function`, outputs);
  if (options.strict) {
    for (const [i, output] of outputList.entries()) {
      if (!output.requiresGrad)
        throw new ArgumentError(`${name}: output ${i} of the function does not depend on the inputs`);
    }
  }
  return { inputs: separated, outputs, outputList };
}

/** Gradients, with zeros where there is no dependency unless `strict`. */
function gradients(
  name: string,
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  gradOutputs: readonly (Tensor | null)[],
  {
    createGraph,
    strict = false,
    isGradsBatched = false,
  }: { createGraph: boolean; strict?: boolean; isGradsBatched?: boolean },
): Tensor[] {
  const differentiable = outputs.flatMap((output, i) => (output.requiresGrad ? [i] : []));
  const zeros = (i: number): Tensor => {
    if (strict)
      throw new ArgumentError(
        `${name}: the function does not depend on input ${i}, so that strict does not allow its derivative`,
      );
    const zero = zerosLike(inputs[i] as Tensor);
    if (!isGradsBatched) return zero;
    const batch = (gradOutputs.find((gradient) => gradient !== null) as Tensor).size(0);
    return zero.expand([batch, ...zero.shape]);
  };
  if (differentiable.length === 0) return inputs.map((_, i) => zeros(i));
  const found = grad(
    differentiable.map((i) => outputs[i] as Tensor),
    inputs,
    {
      gradOutputs: differentiable.map((i) => gradOutputs[i] ?? null),
      retainGraph: true,
      createGraph,
      allowUnused: true,
      isGradsBatched,
    },
  );
  return found.map((gradient, i) => gradient ?? zeros(i));
}

/** Vectors that fit tensors; ones where there is a single element and none are given. */
function vectorsFor(
  name: string,
  v: Tensors | null,
  like: readonly Tensor[],
  what: string,
): readonly Tensor[] {
  if (v === null) {
    if (like.length === 1 && like[0]?.numel() === 1) return [like[0].detach().clone().fill_(1)];
    throw new ArgumentError(
      `${name}: v can only be left out where there is a single ${what} with one element`,
    );
  }
  const vectors = checked(`${name}: v`, v);
  if (vectors.length !== like.length)
    throw new ArgumentError(
      `${name}: v must hold ${like.length} tensors like the ${what}s, got ${vectors.length}`,
    );
  for (const [i, vector] of vectors.entries()) {
    const wanted = like[i] as Tensor;
    if (vector.shape.join() !== wanted.shape.join()) {
      throw new ArgumentError(
        `${name}: v must have the shape [${wanted.shape}] of ${what} ${i}, got [${vector.shape}]`,
      );
    }
  }
  return vectors;
}

function requireScalar(name: string, outputs: readonly Tensor[]): Tensor {
  const [output] = outputs;
  if (outputs.length !== 1 || output === undefined || output.numel() !== 1) {
    throw new ArgumentError(
      `${name}: the function must give one Tensor with one element, got ${outputs.map((o) => `[${o.shape}]`).join(", ")}`,
    );
  }
  return output;
}

/**
 * The outputs of a function and the product of a vector with its Jacobian: what `backward` computes.
 *
 * @param v of the outputs' form; may be null where there is one output with one element
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.vjp.html
 */
export function vjp<const I extends Tensors, O extends Tensors>(
  func: (...inputs: Arguments<I>) => O,
  inputs: I,
  v: Tensors | null = null,
  options: DerivativeOptions = {},
): [outputs: O, vjp: Like<I>] {
  const createGraph = options.createGraph ?? false;
  return enableGrad(() => {
    const { inputs: given, outputs, outputList } = evaluate("vjp", func, inputs, options);
    const vectors = vectorsFor("vjp", v, outputList, "output");
    const products = gradients("vjp", outputList, given, vectors, { ...options, createGraph });
    return [
      shaped(
        outputs,
        outputList.map((output) => finish(output, createGraph)),
      ) as O,
      shaped(
        inputs,
        products.map((product) => finish(product, createGraph)),
      ) as Like<I>,
    ];
  });
}

/**
 * The outputs of a function and the product of its Jacobian with a vector, by differentiating twice; `func.jvp` takes one pass.
 *
 * @param v of the inputs' form; may be null where there is one input with one element
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.jvp.html
 */
export function jvp<const I extends Tensors, O extends Tensors>(
  func: (...inputs: Arguments<I>) => O,
  inputs: I,
  v: Tensors | null = null,
  options: DerivativeOptions = {},
): [outputs: O, jvp: Like<O>] {
  const createGraph = options.createGraph ?? false;
  return enableGrad(() => {
    const { inputs: given, outputs, outputList } = evaluate("jvp", func, inputs, options);
    const vectors = vectorsFor("jvp", v, given, "input");
    // The product of a vector with the Jacobian is linear in the vector: its derivative is the Jacobian's transpose.
    const dummies = outputList.map((output) => zerosLike(output).requiresGrad_());
    const products = gradients("jvp", outputList, given, dummies, {
      createGraph: true,
      strict: options.strict ?? false,
    });
    const tangents = gradients("jvp", products, dummies, vectors, { createGraph });
    return [
      shaped(
        outputs,
        outputList.map((output) => finish(output, createGraph)),
      ) as O,
      shaped(
        outputs,
        tangents.map((tangent) => finish(tangent, createGraph)),
      ) as Like<O>,
    ];
  });
}

/**
 * All derivatives of a function: for an output of shape S and an input of shape T a tensor of shape S + T.
 *
 * ```ts
 * jacobian((x) => x.exp().sum(1), torch.rand(2, 2))          // a tensor of shape [2, 2, 2]
 * jacobian((x, y) => x.mul(2).add(y.mul(3)), [a, b])         // a tensor for a and one for b
 * ```
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.jacobian.html
 */
export function jacobian<const I extends Tensors, O extends Tensors>(
  func: (...inputs: Arguments<I>) => O,
  inputs: I,
  options: JacobianOptions = {},
): Jacobian<O, I> {
  const { createGraph = false, strict = false, vectorize = false, strategy = "reverse-mode" } = options;
  if (strategy !== "reverse-mode" && strategy !== "forward-mode") {
    throw new ArgumentError(
      `jacobian: strategy must be "reverse-mode" or "forward-mode", got "${String(strategy)}"`,
    );
  }
  if (vectorize && strict) throw new ArgumentError("jacobian: strict and vectorize cannot be used together");
  return enableGrad(() => {
    if (strategy === "forward-mode") {
      if (!vectorize) throw new ArgumentError('jacobian: strategy "forward-mode" needs vectorize: true');
      return forwardJacobian(func, inputs, createGraph);
    }
    const { inputs: given, outputs, outputList } = evaluate("jacobian", func, inputs, options);
    const rows = outputList.map((_, o) => {
      const columns = (vectorize ? allRows : oneByOne)(outputList[o] as Tensor, given, createGraph, strict);
      return shaped(
        inputs,
        columns.map((column) => finish(column, createGraph)),
      );
    });
    return shaped(outputs, rows as never[]) as unknown as Jacobian<O, I>;
  });
}

/** A backward pass for each element of the output. */
function oneByOne(
  output: Tensor,
  inputs: readonly Tensor[],
  createGraph: boolean,
  strict: boolean,
): Tensor[] {
  const flat = output.reshape([-1]);
  const rows = flat
    .unbind(0)
    .map((element) => gradients("jacobian", [element], inputs, [null], { createGraph, strict }));
  return inputs.map((input, i) => {
    if (rows.length === 0)
      return zerosLike(input)
        .expand([0, ...input.shape])
        .reshape([...output.shape, ...input.shape]);
    return stack(rows.map((row) => row[i] as Tensor)).reshape([...output.shape, ...input.shape]);
  });
}

/** One backward pass for all elements of the output. */
function allRows(output: Tensor, inputs: readonly Tensor[], createGraph: boolean): Tensor[] {
  const size = output.numel();
  const basis = eye(size, { dtype: output.dtype, device: output.device }).view([size, ...output.shape]);
  const found = gradients("jacobian", [output], inputs, [basis], { createGraph, isGradsBatched: true });
  return found.map((rows, i) => rows.reshape([...output.shape, ...(inputs[i] as Tensor).shape]));
}

function forwardJacobian<I extends Tensors, O extends Tensors>(
  func: (...inputs: Arguments<I>) => O,
  inputs: I,
  createGraph: boolean,
): Jacobian<O, I> {
  const given = separate(checked("jacobian: inputs", inputs), createGraph);
  let outputs: Tensors = given;
  const columns = given.map((input, i) => {
    const tangents = jvpColumns(input, (dual) => {
      outputs = (func as unknown as (...inputs: Tensor[]) => Tensors)(
        ...given.map((other, k) => (k === i ? dual : other)),
      );
      return checked("jacobian: the result of the function", outputs);
    });
    return tangents.map((tangent) => finish(tangent, createGraph));
  });
  const rows = (columns[0] ?? []).map((_, o) =>
    shaped(
      inputs,
      columns.map((column) => column[o] as Tensor),
    ),
  );
  return shaped(outputs, rows as never[]) as unknown as Jacobian<O, I>;
}

/**
 * All second derivatives of a function with one value: for inputs of shapes S and T a tensor of shape S + T.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.hessian.html
 */
export function hessian<const I extends Tensors>(
  func: (...inputs: Arguments<I>) => Tensor,
  inputs: I,
  options: HessianOptions = {},
): Hessian<I> {
  const {
    createGraph = false,
    strict = false,
    vectorize = false,
    outerJacobianStrategy = "reverse-mode",
  } = options;
  const all = checked("hessian: inputs", inputs);
  const gradient = (...given: Tensor[]): Tensors => {
    const value = (...inner: Tensor[]): Tensor => {
      const output = (func as unknown as (...inputs: Tensor[]) => Tensor)(...inner);
      return requireScalar("hessian", checked("hessian: the result of the function", output)).squeeze();
    };
    const separated = given.map((input) => (input.requiresGrad ? input : input.detach().requiresGrad_()));
    return jacobian(value as never, separated as readonly Tensor[], {
      createGraph: true,
      strict,
    }) as unknown as Tensors;
  };
  const result = jacobian(gradient as never, all, {
    createGraph,
    strict,
    vectorize,
    strategy: outerJacobianStrategy,
  });
  const rows = result as unknown as Tensor[][];
  return shaped(inputs, rows.map((row) => shaped(inputs, row)) as never[]) as unknown as Hessian<I>;
}

/**
 * The value of a function and the product of a vector with its Hessian.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.vhp.html
 */
export function vhp<const I extends Tensors>(
  func: (...inputs: Arguments<I>) => Tensor,
  inputs: I,
  v: Tensors | null = null,
  options: DerivativeOptions = {},
): [output: Tensor, vhp: Like<I>] {
  const createGraph = options.createGraph ?? false;
  return enableGrad(() => {
    const { inputs: given, outputList } = evaluate("vhp", func, inputs, options);
    const output = requireScalar("vhp", outputList);
    const vectors = vectorsFor("vhp", v, given, "input");
    const first = gradients("vhp", [output], given, [null], {
      createGraph: true,
      strict: options.strict ?? false,
    });
    const products = gradients("vhp", first, given, vectors, { ...options, createGraph });
    return [
      finish(output, createGraph),
      shaped(
        inputs,
        products.map((product) => finish(product, createGraph)),
      ) as Like<I>,
    ];
  });
}

/**
 * The value of a function and the product of its Hessian with a vector; {@link vhp} is faster and gives the same where second
 * derivatives are continuous.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.functional.hvp.html
 */
export function hvp<const I extends Tensors>(
  func: (...inputs: Arguments<I>) => Tensor,
  inputs: I,
  v: Tensors | null = null,
  options: DerivativeOptions = {},
): [output: Tensor, hvp: Like<I>] {
  const createGraph = options.createGraph ?? false;
  return enableGrad(() => {
    const { inputs: given, outputList } = evaluate("hvp", func, inputs, options);
    const output = requireScalar("hvp", outputList);
    const vectors = vectorsFor("hvp", v, given, "input");
    const first = gradients("hvp", [output], given, [null], {
      createGraph: true,
      strict: options.strict ?? false,
    });
    const dummies = given.map((input) => zerosLike(input).requiresGrad_());
    const second = gradients("hvp", first, given, dummies, {
      createGraph: true,
      strict: options.strict ?? false,
    });
    const products = gradients("hvp", second, dummies, vectors, { createGraph });
    return [
      finish(output, createGraph),
      shaped(
        inputs,
        products.map((product) => finish(product, createGraph)),
      ) as Like<I>,
    ];
  });
}
