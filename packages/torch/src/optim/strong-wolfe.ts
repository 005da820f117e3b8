import { scalarTensor } from "../ops.js";
import type { Tensor } from "../tensor.js";

/** The loss somewhere, and its gradients in one vector. */
export interface Point {
  loss: number;
  grad: Tensor;
}

/** A number, and whether it has single precision, as what is computed from parameters of that type does. */
export interface Scalar {
  value: number;
  single: boolean;
}

/** Where a search starts, and how. */
export interface Start extends Point {
  /** The distance to try first. */
  t: Scalar;
  /** The direction. */
  d: Tensor;
}

/** Where the search has ended. */
export interface Found extends Point {
  t: Scalar;
  /** How many points were looked at. */
  evaluations: number;
}

/** A point at some distance along the direction. */
interface Probe extends Point {
  t: Scalar;
  /** How the loss changes along the direction. */
  slope: Scalar;
}

// the loss must fall by this part of what its slope promises, and the slope to this part of what it was
const sufficientDecrease = double(1e-4);
const curvature = double(0.9);

/**
 * Looks for a distance along a direction at which the loss has fallen enough and its slope is small: the strong Wolfe conditions.
 *
 * The precision of every number is that of PyTorch's search, so that it looks at the same points.
 *
 * @see https://link.springer.com/book/10.1007/978-0-387-40065-5 Nocedal and Wright, Numerical Optimization, section 3.5
 */
export function strongWolfe(
  evaluate: (t: number) => Point,
  start: Start,
  { toleranceChange, maxIterations }: { toleranceChange: number; maxIterations: number },
): Found {
  const { d } = start;
  const loss = double(start.loss);
  const scale = scalarOf(d.abs().max() as Tensor);
  const slopeAt = (grad: Tensor) => scalarOf(grad.dot(d) as Tensor);
  let evaluations = 0;
  const probe = (t: Scalar): Probe => {
    evaluations += 1;
    const point = evaluate(t.value);
    return { ...point, t, slope: slopeAt(point.grad) };
  };
  const origin: Probe = { loss: start.loss, grad: start.grad, t: double(0), slope: slopeAt(start.grad) };
  const flat = times(negative(curvature), origin.slope);
  const fallsTooLittle = (point: Probe) =>
    less(plus(loss, times(times(sufficientDecrease, point.t), origin.slope)), double(point.loss));
  const isFlat = (point: Probe) => Math.abs(point.slope.value) <= flat.value;
  const end = ({ loss, grad, t }: Probe): Found => ({ loss, grad, t, evaluations });

  // go further until a minimum must lie between the last two points
  let iterations = 0;
  let before = origin;
  let now = probe(start.t);
  let bracket: [Probe, Probe] | null = null;
  while (iterations < maxIterations) {
    if (fallsTooLittle(now) || (iterations > 1 && now.loss >= before.loss)) {
      bracket = [before, now];
      break;
    }
    if (isFlat(now)) return end(now);
    if (now.slope.value >= 0) {
      bracket = [before, now];
      break;
    }
    const least = plus(now.t, times(double(0.01), minus(now.t, before.t)));
    const next = minimum(before, now, [least, times(now.t, double(10))]);
    before = now;
    now = probe(next);
    iterations += 1;
  }
  bracket ??= [origin, now];

  // draw the two together until the conditions hold
  let low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
  let stuck = false;
  while (iterations < maxIterations) {
    const [first, second] = bracket;
    const width = minus(second.t, first.t);
    if (less(times({ ...width, value: Math.abs(width.value) }, scale), double(toleranceChange))) break;
    let t = minimum(first, second);
    const [left, right] = [smaller(first.t, second.t), larger(first.t, second.t)];
    const margin = times(double(0.1), minus(right, left));
    const [toRight, toLeft] = [minus(right, t), minus(t, left)];
    if (less(smaller(toRight, toLeft), margin)) {
      // too near to an end, which is allowed once
      if (stuck || !less(t, right) || !less(left, t)) {
        const nearRight = Math.abs(toRight.value) < Math.abs(toLeft.value);
        t = nearRight ? minus(right, margin) : plus(left, margin);
        stuck = false;
      } else {
        stuck = true;
      }
    } else {
      stuck = false;
    }
    now = probe(t);
    iterations += 1;
    const lowest = bracket[low] as Probe;
    if (fallsTooLittle(now) || now.loss >= lowest.loss) {
      bracket[1 - low] = now;
      low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
      continue;
    }
    if (isFlat(now)) return end(now);
    const across = minus((bracket[1 - low] as Probe).t, lowest.t);
    if (times(now.slope, across).value >= 0) bracket[1 - low] = lowest;
    bracket[low] = now;
  }
  return end(bracket[low] as Probe);
}

/** The minimum of the cubic through two points with their slopes, within bounds. */
function minimum(a: Probe, b: Probe, bounds?: readonly [Scalar, Scalar]): Scalar {
  const inOrder = !less(b.t, a.t);
  const [least, most] = bounds ?? (inOrder ? [a.t, b.t] : [b.t, a.t]);
  const secant = over(double(3 * (a.loss - b.loss)), minus(a.t, b.t));
  const first = minus(plus(a.slope, b.slope), secant);
  const square = minus(times(first, first), times(a.slope, b.slope));
  if (!(square.value >= 0)) return over(plus(least, most), double(2));
  const root = squareRoot(square);
  const [from, to] = inOrder ? [a, b] : [b, a];
  const share = over(
    minus(plus(to.slope, root), first),
    plus(minus(to.slope, from.slope), times(double(2), root)),
  );
  return smaller(larger(minus(to.t, times(minus(to.t, from.t), share)), least), most);
}

/** A number in double precision. */
export function double(value: number): Scalar {
  return { value, single: false };
}

/** The number in a tensor with one element. */
function scalarOf(tensor: Tensor): Scalar {
  return { value: tensor.item<number>(), single: tensor.dtype !== "float64" };
}

/** Computes in single precision where one of the numbers has it: the other is rounded to it first. */
function combine(a: Scalar, b: Scalar, operation: (a: number, b: number) => number): Scalar {
  if (!a.single && !b.single) return double(operation(a.value, b.value));
  return { value: Math.fround(operation(Math.fround(a.value), Math.fround(b.value))), single: true };
}

function plus(a: Scalar, b: Scalar): Scalar {
  return combine(a, b, (x, y) => x + y);
}

function minus(a: Scalar, b: Scalar): Scalar {
  return combine(a, b, (x, y) => x - y);
}

function times(a: Scalar, b: Scalar): Scalar {
  return combine(a, b, (x, y) => x * y);
}

function over(a: Scalar, b: Scalar): Scalar {
  // as Python divides a number by a tensor
  if (!a.single && b.single) return times({ value: Math.fround(1 / b.value), single: true }, a);
  return combine(a, b, (x, y) => x / y);
}

/** The engine's square root: in single precision it is not always the nearest number, which `Math.sqrt` gives. */
function squareRoot({ value, single }: Scalar): Scalar {
  return scalarOf(scalarTensor(value, { dtype: single ? "float32" : "float64" }).sqrt());
}

function negative({ value, single }: Scalar): Scalar {
  return { value: -value, single };
}

function less(a: Scalar, b: Scalar): boolean {
  return a.single || b.single ? Math.fround(a.value) < Math.fround(b.value) : a.value < b.value;
}

function smaller(a: Scalar, b: Scalar): Scalar {
  return less(b, a) ? b : a;
}

function larger(a: Scalar, b: Scalar): Scalar {
  return less(a, b) ? b : a;
}
