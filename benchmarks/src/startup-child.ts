// One training step from a cold start: `node startup-child.js levin|torch`.
import * as torch from "@levin/torch";
import { makeModel } from "./models.js";

const model = makeModel("tiny");
if (process.argv[2] === "torch") {
  const optimizer = model.optimizer(model.net.parameters());
  model.loss(model.net, torch.ones([2, 32])).backward();
  optimizer.step();
} else {
  const { Trainer } = await import("levin");
  const { Bench, QUIET } = await import("./levin-engine.js");
  const rows = torch.ones([2, 32]);
  const loader = new torch.data.DataLoader(
    { length: 2, getItem: (i: number) => rows.select(0, i) },
    { batchSize: 2 },
  );
  await new Trainer({ accelerator: "cpu", devices: 1, maxSteps: 1, ...QUIET }).fit(
    new Bench(model, { logs: false, progBar: false }),
    {
      trainDataloaders: loader,
    },
  );
}
