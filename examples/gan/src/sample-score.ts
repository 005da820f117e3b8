import * as torch from "@levin/torch";
import { Callback, type Trainer } from "levin";
import type { GAN } from "./gan.js";
import type { Judge } from "./judge.js";

/** Judges what the generator makes, before training and after each epoch. */
export class SampleScore extends Callback {
  readonly scores: number[] = [];
  readonly #judge: Judge;

  constructor(judge: Judge) {
    super();
    this.#judge = judge;
  }

  override onTrainStart(_trainer: Trainer, gan: GAN): void {
    this.scores.push(this.#score(gan));
  }

  override onTrainEpochEnd(_trainer: Trainer, gan: GAN): void {
    const score = this.#score(gan);
    this.scores.push(score);
    this.log("score", score, { progBar: true });
  }

  #score(gan: GAN): number {
    gan.eval();
    const score = torch.noGrad(() => this.#judge.to(gan.device).score(gan.sample(1000)));
    gan.train();
    return score;
  }
}
