// Only compiled (npm run typecheck), never run: what the types of operators promise.

import type { Complex, DType, Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { expectType } from "./expect-type.js";

declare const x: Tensor;

// arithmetic
expectType<Tensor>()(x.add(x));
expectType<Tensor>()(x.add(1, { alpha: 2 }));
expectType<Tensor>()(torch.mul(x, 2n));
expectType<Tensor>()(x.mul(new torch.Complex(0, 1)));
expectType<boolean>()(x.equal(x));
expectType<number[]>()(x.shape);
expectType<number>()(x.size(0));
expectType<DType>()(x.dtype);
// @ts-expect-error a string is no number
x.add("1");
// @ts-expect-error there is no such option
x.add(1, { alhpa: 2 });
// @ts-expect-error there is no such method
x.fooBar();

// in place: the tensor itself
expectType<Tensor>()(x.add_(1));
expectType<Tensor>()(x.relu_().mul_(x));

// optional arguments by place and by name
expectType<Tensor>()(x.sum());
expectType<Tensor>()(x.sum(1, true));
expectType<Tensor>()(x.sum([0, 1], { keepdim: true, dtype: "float64" }));
expectType<Tensor>()(x.sum({ dim: 1 }));
expectType<Tensor>()(torch.softmax(x, 1, { dtype: "float32" }));
// @ts-expect-error softmax needs a dimension
x.softmax();
// @ts-expect-error there is no such type
x.sum({ dtype: "float31" });

// sizes as a list or one by one
expectType<Tensor>()(torch.zeros([2, 3]));
expectType<Tensor>()(torch.zeros(2, 3));
expectType<Tensor>()(torch.zeros(2, 3, { dtype: "int64", requiresGrad: false }));
expectType<Tensor>()(x.view(2, -1));
expectType<Tensor>()(x.view("int32"));
expectType<Tensor>()(x.permute(1, 0));
// @ts-expect-error sizes are numbers
torch.zeros("2");

// results with names
expectType<Tensor>()(x.max());
expectType<{ values: Tensor; indices: Tensor }>()(x.max(1));
expectType<{ values: Tensor; indices: Tensor }>()(torch.topk(x, 2, { largest: false }));
expectType<{ values: Tensor; indices: Tensor }>()(x.sort({ descending: true }));
expectType<{ Q: Tensor; R: Tensor }>()(torch.linalg.qr(x));
expectType<{ U: Tensor; S: Tensor; Vh: Tensor }>()(torch.linalg.svd(x));
expectType<{ eigenvalues: Tensor; eigenvectors: Tensor }>()(torch.linalg.eigh(x));
expectType<[Tensor, Tensor]>()(torch.varMean(x));
expectType<Tensor[]>()(x.split(2));
expectType<Tensor[]>()(torch.meshgrid(x, x, { indexing: "xy" }));
expectType<Tensor>()(torch.unique(x));
expectType<Tensor>()(torch.unique(x, { returnCounts: true }).counts);
// @ts-expect-error the inverse was not asked for
torch.unique(x, { returnCounts: true }).inverseIndices;
expectType<Tensor>()(torch.nonzero(x));
expectType<Tensor[]>()(torch.nonzero(x, { asTuple: true }));
expectType<Tensor>()(torch.atleast1d(x));
expectType<Tensor[]>()(torch.atleast1d(x, x));

// strings of which some are allowed
torch.div(x, 2, { roundingMode: "floor" });
// @ts-expect-error there is no such way of rounding
torch.div(x, 2, { roundingMode: "up" });
torch.einsum("ij,jk->ik", x, x);
torch.searchsorted(x, x, { side: "right" });
// @ts-expect-error there are two sides
torch.searchsorted(x, x, { side: "middle" });

// values
expectType<number>()(x.item());
expectType<bigint>()(x.item<bigint>({ bigint: true }));
expectType<Complex>()(x.item<Complex>());
expectType<number[][]>()(x.toArray<number[][]>());
torch.tensor([
  [1, 2],
  [3, 4],
]);
torch.tensor([1n, 2n], { dtype: "int64", device: "cuda:1" });
// @ts-expect-error text is no data
torch.tensor(["a"]);
// @ts-expect-error there is no such device
torch.tensor([1], { device: "gpu" });

// indexing
expectType<Tensor>()(x.get([0, torch.slice(1, null), null, "..."]));
expectType<Tensor>()(x.get(x.gt(0)));
// @ts-expect-error an index is no object
x.get({});

// namespaces
expectType<Tensor>()(torch.fft.rfft(x, { norm: "ortho" }));
// @ts-expect-error there is no such norm
torch.fft.rfft(x, { norm: "orthogonal" });
expectType<Tensor>()(torch.special.expit(x));
expectType<Tensor>()(torch.sparse.mm(x, x));
expectType<Tensor>()(torch.nn.functional.gelu(x, { approximate: "tanh" }));

// modes
expectType<Tensor>()(torch.noGrad(() => x.add(1)));
expectType<number>()(torch.inferenceMode(() => 3));
expectType<string>()(torch.random.forkRng(() => "a"));
expectType<boolean>()(torch.isTensor(x as unknown));
