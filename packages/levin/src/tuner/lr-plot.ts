import { formatGeneral } from "../python-format.js";

/** A point of a curve. */
export type Point = readonly [x: number, y: number];

const width = 640;
const height = 400;
const margin = { left: 64, right: 16, top: 16, bottom: 48 };

/** Maps values to places on the page. */
interface Axis {
  place(value: number): number;
  ticks: number[];
}

/** A picture (SVG) of the loss over the learning rate, with a mark at one of the points. */
export function plotLearningRates(
  points: readonly Point[],
  logarithmic: boolean,
  mark: Point | null,
): string {
  const finite = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  const inner = [margin.left, width - margin.right] as const;
  const x = (logarithmic ? logarithmicAxis : linearAxis)(
    finite.map(([each]) => each),
    ...inner,
  );
  const y = linearAxis(
    finite.map(([, each]) => each),
    height - margin.bottom,
    margin.top,
  );
  const at = ([a, b]: Point) => `${x.place(a).toFixed(1)},${y.place(b).toFixed(1)}`;
  const bottom = height - margin.bottom;
  const ticksOfX = x.ticks.map(
    (tick) =>
      `<path class="grid" d="M${x.place(tick).toFixed(1)},${margin.top}V${bottom}"/>` +
      `<text x="${x.place(tick).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${formatGeneral(tick, 3)}</text>`,
  );
  const ticksOfY = y.ticks.map(
    (tick) =>
      `<path class="grid" d="M${margin.left},${y.place(tick).toFixed(1)}H${width - margin.right}"/>` +
      `<text x="${margin.left - 8}" y="${(y.place(tick) + 4).toFixed(1)}" text-anchor="end">${formatGeneral(tick, 4)}</text>`,
  );
  const marked = mark
    ? [`<circle class="mark" cx="${x.place(mark[0]).toFixed(1)}" cy="${y.place(mark[1]).toFixed(1)}" r="5"/>`]
    : [];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    "<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.curve{fill:none;stroke:#1f77b4;stroke-width:1.5}.mark{fill:#d62728}</style>",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...ticksOfX,
    ...ticksOfY,
    `<polyline class="curve" points="${finite.map(at).join(" ")}"/>`,
    ...marked,
    `<text x="${(inner[0] + inner[1]) / 2}" y="${height - 10}" text-anchor="middle">Learning rate</text>`,
    `<text transform="translate(14,${(margin.top + bottom) / 2}) rotate(-90)" text-anchor="middle">Loss</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function linearAxis(values: readonly number[], from: number, to: number): Axis {
  const [low, high] = rangeOf(values);
  // steps of 1, 2 or 5 times a power of ten, for about five ticks
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  return { place: (value) => from + ((value - low) / (high - low)) * (to - from), ticks };
}

function logarithmicAxis(values: readonly number[], from: number, to: number): Axis {
  const [low, high] = rangeOf(values.map(Math.log10));
  const first = Math.ceil(low);
  const ticks = Array.from({ length: Math.floor(high) - first + 1 }, (_, i) => 10 ** (first + i));
  return { place: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from), ticks };
}

/** The least and the greatest value, at least a little apart. */
function rangeOf(values: readonly number[]): [low: number, high: number] {
  const low = values.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY);
  const high = values.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(low)) return [0, 1];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}
