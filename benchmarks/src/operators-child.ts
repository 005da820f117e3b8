// What single operators cost, alone in its process: prints microseconds by name as JSON, the least of several rounds.

import * as torch from "@levin/torch";
import { nn } from "@levin/torch";

const [rounds, calls] = process.argv.slice(2).map(Number) as [number, number];
torch.setNumThreads(1);
torch.manualSeed(0);

const [a, b] = [torch.randn([4, 4]), torch.randn([4, 4])];
const [p, q] = [torch.randn([4, 4], { requiresGrad: true }), torch.randn([4, 4], { requiresGrad: true })];
const net = new nn.Sequential(
  new nn.Linear(16, 16),
  new nn.ReLU(),
  new nn.Linear(16, 16),
  new nn.ReLU(),
  new nn.Linear(16, 1),
);
const x = torch.randn([8, 16]);

const cases: Record<string, () => unknown> = {
  add: () => a.add(b),
  "add a number": () => a.add(1.5),
  "add, with grad": () => p.add(q),
  matmul: () => a.matmul(b),
  "matmul, with grad": () => p.matmul(q),
  "forward and backward of three layers": () => net.forward(x).mean().backward(),
};

function measure(call: () => unknown, count: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < count; i++) call();
    best = Math.min(best, performance.now() - start);
  }
  return (best / count) * 1e3;
}

const results = Object.entries(cases).map(([name, call]) => [
  name,
  measure(call, name.includes("backward") ? calls / 10 : calls),
]);
console.log(JSON.stringify(Object.fromEntries(results)));
