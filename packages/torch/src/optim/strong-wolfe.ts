import type { Tensor } from "../tensor.js";

/** The loss somewhere, and its gradients in one vector. */
export interface Point {
  loss: number;
  grad: Tensor;
}

/** Where a search starts, and how. */
export interface Start extends Point {
  /** The distance to try first. */
  t: number;
  /** The direction. */
  d: Tensor;
  /** How the loss changes along the direction. */
  slope: number;
}

/** Where the search has ended. */
export interface Found extends Point {
  t: number;
  /** How many points were looked at. */
  evaluations: number;
}

/** A point at some distance along the direction. */
interface Probe extends Point {
  t: number;
  slope: number;
}

// the loss must fall by this part of what its slope promises, and the slope to this part of what it was
const sufficientDecrease = 1e-4;
const curvature = 0.9;

/**
 * Looks for a distance along a direction at which the loss has fallen enough and its slope is small: the strong Wolfe conditions.
 *
 * @see https://link.springer.com/book/10.1007/978-0-387-40065-5 Nocedal and Wright, Numerical Optimization, section 3.5
 */
export function strongWolfe(
  evaluate: (t: number) => Point,
  start: Start,
  { toleranceChange, maxIterations }: { toleranceChange: number; maxIterations: number },
): Found {
  const { d, loss, slope } = start;
  const scale = (d.abs().max() as Tensor).item<number>();
  let evaluations = 0;
  const probe = (t: number): Probe => {
    evaluations += 1;
    const point = evaluate(t);
    return { ...point, t, slope: (point.grad.dot(d) as Tensor).item<number>() };
  };
  const fallsTooLittle = (point: Probe) => point.loss > loss + sufficientDecrease * point.t * slope;
  const isFlat = (point: Probe) => Math.abs(point.slope) <= -curvature * slope;
  const end = ({ loss, grad, t }: Probe): Found => ({ loss, grad, t, evaluations });

  // go further until a minimum must lie between the last two points
  let iterations = 0;
  let before: Probe = { loss, grad: start.grad, t: 0, slope };
  let now = probe(start.t);
  let bracket: [Probe, Probe] | null = null;
  while (iterations < maxIterations) {
    if (fallsTooLittle(now) || (iterations > 1 && now.loss >= before.loss)) {
      bracket = [before, now];
      break;
    }
    if (isFlat(now)) return end(now);
    if (now.slope >= 0) {
      bracket = [before, now];
      break;
    }
    const next = minimum(before, now, [now.t + 0.01 * (now.t - before.t), now.t * 10]);
    before = now;
    now = probe(next);
    iterations += 1;
  }
  bracket ??= [{ loss, grad: start.grad, t: 0, slope }, now];

  // draw the two together until the conditions hold
  let low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
  let stuck = false;
  while (iterations < maxIterations) {
    const [left, right] = [Math.min(bracket[0].t, bracket[1].t), Math.max(bracket[0].t, bracket[1].t)];
    if ((right - left) * scale < toleranceChange) break;
    let t = minimum(bracket[0], bracket[1]);
    const margin = 0.1 * (right - left);
    if (Math.min(right - t, t - left) < margin) {
      // too near to an end, which is allowed once
      if (stuck || t >= right || t <= left) {
        t = Math.abs(t - right) < Math.abs(t - left) ? right - margin : left + margin;
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
    if (now.slope * ((bracket[1 - low] as Probe).t - lowest.t) >= 0) bracket[1 - low] = lowest;
    bracket[low] = now;
  }
  return end(bracket[low] as Probe);
}

/** The minimum of the cubic through two points with their slopes, within bounds. */
function minimum(a: Probe, b: Probe, bounds?: readonly [number, number]): number {
  const [least, most] = bounds ?? (a.t <= b.t ? [a.t, b.t] : [b.t, a.t]);
  const first = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = first ** 2 - a.slope * b.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const root = Math.sqrt(square);
  const at =
    a.t <= b.t
      ? b.t - (b.t - a.t) * ((b.slope + root - first) / (b.slope - a.slope + 2 * root))
      : a.t - (a.t - b.t) * ((a.slope + root - first) / (a.slope - b.slope + 2 * root));
  return Math.min(Math.max(at, least), most);
}
