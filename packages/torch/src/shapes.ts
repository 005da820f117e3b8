import { requireArray } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { optional, tensorList } from "./optional.js";
import { Tensor } from "./tensor.js";

type Tensors = readonly (Tensor | readonly Tensor[])[];

/** Applies an operator to one tensor, or to each of several. */
function each(name: string, operator: string, args: Tensors): Tensor | Tensor[] {
  if (args.length === 1 && args[0] instanceof Tensor) return call(operator, args[0]) as Tensor;
  return tensorList(name, args).map((tensor) => call(operator, tensor) as Tensor);
}

/**
 * A tensor, or each of several, with at least one dimension.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.atleast_1d.html
 */
export function atleast1d(tensor: Tensor): Tensor;
export function atleast1d(tensors: readonly Tensor[]): Tensor[];
export function atleast1d(...tensors: Tensor[]): Tensor[];
export function atleast1d(...tensors: Tensors): Tensor | Tensor[] {
  return each("atleast1d", "aten::atleast_1d", tensors);
}

/**
 * A tensor, or each of several, with at least two dimensions.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.atleast_2d.html
 */
export function atleast2d(tensor: Tensor): Tensor;
export function atleast2d(tensors: readonly Tensor[]): Tensor[];
export function atleast2d(...tensors: Tensor[]): Tensor[];
export function atleast2d(...tensors: Tensors): Tensor | Tensor[] {
  return each("atleast2d", "aten::atleast_2d", tensors);
}

/**
 * A tensor, or each of several, with at least three dimensions.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.atleast_3d.html
 */
export function atleast3d(tensor: Tensor): Tensor;
export function atleast3d(tensors: readonly Tensor[]): Tensor[];
export function atleast3d(...tensors: Tensor[]): Tensor[];
export function atleast3d(...tensors: Tensors): Tensor | Tensor[] {
  return each("atleast3d", "aten::atleast_3d", tensors);
}

/**
 * The shape to which all shapes broadcast.
 *
 * @throws ArgumentError where they do not broadcast
 * @see https://pytorch.org/docs/stable/generated/torch.broadcast_shapes.html
 */
export function broadcastShapes(...shapes: (number | readonly number[])[]): number[] {
  const lists = shapes.map((shape) => {
    if (typeof shape === "number") return [shape];
    requireArray(shape, "broadcastShapes: a shape");
    return shape;
  });
  const result = Array<number>(Math.max(0, ...lists.map((shape) => shape.length))).fill(1);
  for (const shape of lists) {
    for (let back = 1; back <= shape.length; back++) {
      const size = shape[shape.length - back] as number;
      const at = result.length - back;
      if (!Number.isInteger(size) || size < 0)
        throw new ArgumentError(`broadcastShapes: a size must be a whole number from 0, got ${size}`);
      if (size === 1 || size === result[at]) continue;
      if (result[at] !== 1) {
        throw new ArgumentError(
          `broadcastShapes: the shapes ${lists.map((list) => `[${list.join(", ")}]`).join(", ")} do not broadcast: ${result[at]} and ${size} meet`,
        );
      }
      result[at] = size;
    }
  }
  return result;
}

/**
 * Views of the tensors with the one shape that they broadcast to.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.broadcast_tensors.html
 */
export function broadcastTensors(tensors: readonly Tensor[]): Tensor[];
export function broadcastTensors(...tensors: Tensor[]): Tensor[];
export function broadcastTensors(...tensors: Tensors): Tensor[] {
  return call("aten::broadcast_tensors", tensorList("broadcastTensors", tensors)) as Tensor[];
}

/**
 * All combinations of the tensors' values, one a row.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.cartesian_prod.html
 */
export function cartesianProd(tensors: readonly Tensor[]): Tensor;
export function cartesianProd(...tensors: Tensor[]): Tensor;
export function cartesianProd(...tensors: Tensors): Tensor {
  return call("aten::cartesian_prod", tensorList("cartesianProd", tensors)) as Tensor;
}

/**
 * A matrix with the tensors along its diagonal.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.block_diag.html
 */
export function blockDiag(tensors: readonly Tensor[]): Tensor;
export function blockDiag(...tensors: Tensor[]): Tensor;
export function blockDiag(...tensors: Tensors): Tensor {
  return call("aten::block_diag", tensorList("blockDiag", tensors)) as Tensor;
}

/** Options of {@link meshgrid}. */
export interface MeshgridOptions {
  /** `"ij"`: the first tensor runs along the first dimension (default); `"xy"`: along the second. */
  indexing?: "ij" | "xy";
}

/**
 * Coordinate grids from the coordinates along each dimension.
 *
 * ```ts
 * const [x, y] = torch.meshgrid(torch.arange(3), torch.arange(2), { indexing: "xy" });
 * ```
 *
 * @see https://pytorch.org/docs/stable/generated/torch.meshgrid.html
 */
export function meshgrid(tensors: readonly Tensor[], options?: MeshgridOptions): Tensor[];
export function meshgrid(...args: [...Tensor[], Tensor | MeshgridOptions]): Tensor[];
export function meshgrid(...args: (Tensor | readonly Tensor[] | MeshgridOptions | undefined)[]): Tensor[] {
  const isTensors = (arg: unknown): arg is Tensor | readonly Tensor[] =>
    arg instanceof Tensor || Array.isArray(arg);
  const tensors = args.filter(isTensors);
  const { indexing = "ij" } = optional<MeshgridOptions>(
    "meshgrid",
    ["indexing"],
    args.filter((arg) => !isTensors(arg) && arg !== undefined),
  );
  return call("aten::meshgrid", tensorList<Tensor>("meshgrid", tensors), { indexing }) as Tensor[];
}
