import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { MLFlowLogger } from "levin";
import { afterEach, describe, expect, it } from "vitest";
import { runProgram } from "./child.js";

/** What a server answers to metrics: a status, or nothing. */
type Reply = number | Promise<number> | "hang up";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** A tracking server that answers as it is told, with the steps and the end of the run that it took. */
async function serve(reply: (count: number) => Reply) {
  const taken = { steps: [] as number[], status: "RUNNING" };
  let count = 0;
  const answer = async (request: IncomingMessage, body: string): Promise<[number | "hang up", object]> => {
    const path = request.url!.replace(/^\/api\/2.0\/mlflow\/|\?.*$/g, "");
    if (path === "experiments/get-by-name")
      return [200, { experiment: { experiment_id: "7", lifecycle_stage: "active" } }];
    if (path === "runs/create") return [200, { run: { info: { run_id: "r" } } }];
    if (path === "runs/update") {
      taken.status = JSON.parse(body).status;
      return [200, {}];
    }
    const status = await reply(count++);
    if (status === 200)
      taken.steps.push(...JSON.parse(body).metrics.map(({ step }: { step: number }) => step));
    return [status, status === 200 ? {} : { error_code: "X", message: "it is what it is" }];
  };
  server = createServer(async (request, response) => {
    const [status, body] = await answer(request, await text(request));
    if (status === "hang up") request.socket.destroy();
    else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { taken, uri: `http://127.0.0.1:${(server.address() as { port: number }).port}` };
}

/** Trains six steps, each in an epoch of its own, and goes on to the event loop between them. */
const program = `
  import * as torch from "@levin/torch";
  import { setTimeout } from "node:timers/promises";
  import { LightningModule, MLFlowLogger, Trainer } from "levin";
  class Net extends LightningModule {
    layer = new torch.nn.Linear(1, 1);
    async trainingStep(batch) { await setTimeout(100); const loss = this.layer.forward(batch).mean(); this.log("x", loss); return loss; }
    configureOptimizers() { return new torch.optim.SGD(this.parameters(), { lr: 0.1 }); }
    onTrainEnd() { process.stdout.write("trained\\n"); }
  }
  const trainer = new Trainer({ accelerator: "cpu", maxEpochs: 1, logEveryNSteps: 1, enableProgressBar: false,
    enableCheckpointing: false, enableModelSummary: false, logger: new MLFlowLogger({ trackingUri: process.argv[1] }) });
  await trainer.fit(new Net(), { trainDataloaders: new Set(Array.from({ length: 6 }, () => torch.ones([1, 1]))) });
`;

describe("MLFlowLogger", () => {
  it("says at the start that there is no server", () => {
    const logger = new MLFlowLogger({ trackingUri: "http://127.0.0.1:9" });
    expect(() => logger.logMetrics({ x: 1 })).toThrow(/127\.0\.0\.1:9.*does not answer.*mlflow server/);
    expect(() => new MLFlowLogger({ trackingUri: "sqlite:///x.db" })).toThrow("--backend-store-uri");
  });

  it("sends again what a server did not take, and loses nothing", async () => {
    const { taken, uri } = await serve((count) => (count === 0 ? 503 : count === 1 ? "hang up" : 200));
    const { code, stderr } = await runProgram(program, { args: [uri] });
    expect([code, taken.status]).toEqual([0, "FINISHED"]);
    expect([...new Set(taken.steps)]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(stderr).not.toContain("MLFlowLogger");
  });

  it("does not make the steps wait for a slow server", async () => {
    let release: (status: number) => void = () => {};
    const held = new Promise<number>((resolve) => {
      release = resolve;
    });
    const { taken, uri } = await serve((count) => (count === 0 ? held : 200));
    const { code } = await runProgram(program, {
      args: [uri],
      onOutput: (output) => {
        if (output.includes("trained")) release(200);
      },
    });
    expect([code, [...new Set(taken.steps)]]).toEqual([0, [0, 1, 2, 3, 4, 5]]);
  });

  it("lets a run end well whose server is gone, with a warning", async () => {
    const { uri } = await serve(() => "hang up");
    const { code, stdout, stderr } = await runProgram(program, { args: [uri] });
    expect([code, stdout]).toEqual([0, "trained\n"]);
    expect(stderr).toMatch(/MLFlowLogger: 12 metrics are lost/);
  });

  it("lets a run go on whose metrics are refused, with one warning", async () => {
    const { taken, uri } = await serve(() => 400);
    const { code, stderr } = await runProgram(program, { args: [uri] });
    expect([code, taken.status]).toEqual([0, "FINISHED"]);
    expect(stderr.match(/answered 400 Bad Request: it is what it is/g)?.length).toBe(1);
  });
});
