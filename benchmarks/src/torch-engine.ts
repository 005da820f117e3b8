import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import type { Clock } from "./clock.js";
import { makeLoader } from "./data.js";
import { type Model, makeModel } from "./models.js";
import { isLoader, type Workload } from "./plan.js";

/** Runs a workload as the loop one writes by hand on `@levin/torch`. */
export function runTorch(workload: Workload, clock: Clock): void {
  const loader = makeLoader(workload);
  if (isLoader(workload)) return repeat(loader, () => clock.tick());
  const model = makeModel(workload);
  if (workload === "infer") return infer(model, loader, clock);
  if (workload === "val") return validate(model, loader, clock);
  const optimizer = model.optimizer(model.net.parameters());
  model.net.train();
  repeat(loader, (batch) => {
    optimizer.zeroGrad();
    const loss = model.loss(model.net, batch);
    loss.backward();
    optimizer.step();
    return clock.tick(() => loss.item());
  });
}

/** Epoch after epoch until the step says that it is over. */
function repeat(loader: Iterable<unknown>, step: (batch: unknown) => boolean): void {
  for (;;) {
    for (const batch of loader) if (step(batch)) return;
  }
}

function infer({ net }: Model, loader: Iterable<unknown>, clock: Clock): void {
  net.eval();
  torch.inferenceMode(() => {
    for (;;) {
      const outputs: Tensor[] = [];
      for (const batch of loader) {
        outputs.push(net.forward((batch as [Tensor, Tensor])[0]));
        if (clock.tick()) return;
      }
    }
  });
}

function validate({ net }: Model, loader: Iterable<unknown>, clock: Clock): void {
  net.eval();
  torch.inferenceMode(() => {
    for (let over = false; !over; ) {
      const total = torch.zeros([]);
      const right = torch.zeros([], { dtype: "int64" });
      let count = 0;
      for (const batch of loader) {
        const [x, y] = batch as [Tensor, Tensor];
        const out = net.forward(x);
        total.add_(torch.nn.functional.crossEntropy(out, y).mul(y.size(0)));
        right.add_(out.argmax(1).eq(y).sum());
        count += y.size(0);
        over = clock.tick() || over;
      }
      // The last pass is always finished, so that its mean loss is the whole set's.
      clock.loss = total.item<number>() / count;
    }
  });
}
