import * as torch from "@levin/torch";

const { Complex, nn, serialization } = torch;
const { orderedDict, PyDevice, PyDtype, PyFloat, Size, Tuple } = serialization;

const dtypes = torch.dtypes.filter((name) => !name.startsWith("q"));

/** A random nested object with tensors of all types, as checkpoints have them; the same for the same seed. */
export function randomObject(seed: number): Record<string, unknown> {
  const generator = new Generator(seed);
  const root: Record<string, unknown> = {};
  for (let i = generator.below(6); i >= 0; i--) root[`entry${i}`] = generator.value(3);
  // Python has only one empty tuple.
  if (!(root.entry0 instanceof Tuple)) root.again = root.entry0;
  return root;
}

class Generator {
  #state: number;
  readonly #tensors: torch.Tensor[] = [];

  constructor(seed: number) {
    this.#state = seed + 1;
  }

  below(n: number): number {
    // The generator of Park and Miller.
    this.#state = (this.#state * 48271) % 0x7fffffff;
    return this.#state % n;
  }

  #of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  #list(depth: number): unknown[] {
    return Array.from({ length: this.below(4) }, () => this.value(depth - 1));
  }

  value(depth: number): unknown {
    const kind = this.below(depth === 0 ? 8 : 14);
    if (kind < 5) return this.#tensor();
    if (kind < 8) return this.#plain();
    const entries = this.#list(depth).map((value, i): [string, unknown] => [
      `${this.#of(["a.b", "x", "7", "0"])}${i}`,
      value,
    ]);
    if (kind === 8) return this.#list(depth);
    if (kind === 9) return Tuple.from(this.#list(depth));
    if (kind === 10)
      return orderedDict(Object.fromEntries(entries), { _metadata: orderedDict({ "": { version: 1 } }) });
    if (kind === 11) return new Map<unknown, unknown>(this.#list(depth).map((value, i) => [i, value]));
    return Object.fromEntries(entries);
  }

  #tensor(): torch.Tensor {
    const kind = this.below(12);
    const known = this.#tensors[this.below(8)];
    if (known !== undefined && kind < 4) return this.#view(known);
    if (kind === 4) return torch.eye(3).toSparse();
    if (kind === 5) return torch.eye(4).toSparseCsr();
    if (kind === 6) return torch.zeros(this.#shape(), { device: "meta" });
    const dtype = this.#of(dtypes);
    const shape = this.#shape();
    const size = shape.reduce((product, n) => product * n, torch.itemSize(dtype));
    const bytes = Uint8Array.from({ length: size }, () =>
      dtype === "bool" ? this.below(2) : this.below(256),
    );
    let made = size === 0 ? torch.zeros(shape, { dtype }) : torch.fromTypedArray(bytes, shape, { dtype });
    if (kind === 7 && torch.isFloatingDType(dtype) && !dtype.startsWith("float8")) {
      made = new nn.Parameter(made, { requiresGrad: this.below(2) === 0 });
    }
    this.#tensors.push(made);
    return made;
  }

  #shape(): number[] {
    return Array.from({ length: this.below(4) }, () => this.below(5));
  }

  #view(known: torch.Tensor): torch.Tensor {
    const data = known.detach();
    const how = this.below(4);
    if (how === 0 || data.ndim === 0) return known;
    if (how === 1) return data.T;
    if (how === 2) return data.expand([2, ...data.shape]);
    return (data.shape[0] ?? 0) > 1 ? data.narrow(0, 1, 1) : data;
  }

  #plain(): unknown {
    return this.#of<unknown>([
      null,
      true,
      false,
      this.below(1000) - 500,
      2 ** 53 - 1,
      2n ** 63n,
      -(2n ** 70n),
      new PyFloat(this.below(5)),
      this.below(1000) / 7,
      Number.POSITIVE_INFINITY,
      -0,
      "text",
      "ä€𝄞\0\ud800",
      new Uint8Array([1, 255]),
      new Complex(1, -2),
      new Size(2, 3),
      new PyDtype(this.#of(dtypes)),
      new PyDevice("cuda:1"),
      new Set(["one"]),
      new Tuple(),
    ]);
  }
}
