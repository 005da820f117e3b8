import { writeFileSync } from "node:fs";
import * as torch from "@levin/torch";

const plans = { basic: 0.6, plus: 0, family: -0.9 };
const cities = {
  Arles: 0.9,
  Bergen: -0.7,
  Cork: 0.3,
  Delft: -1.1,
  Evora: 1.2,
  Fulda: -0.2,
  Gdansk: 0,
  Hvar: 0.6,
};
const payments = { card: -0.4, invoice: 0.5, "direct debit": -0.1 };

/**
 * Writes a table of invented customers of a telephone company, and whether they left: the same each time. The column `chance` is the
 * true probability that the customer leaves, which no model can beat.
 */
export function makeCustomers(path: string, count: number): void {
  const generator = new torch.Generator().manualSeed(7);
  const uniform = torch.rand([count, 8], { generator }).toArray() as number[][];
  const rows = uniform.map(([a, b, c, d, e, f, g, missing]) => {
    const plan = pick(plans, a!);
    const city = pick(cities, b!);
    const payment = pick(payments, c!);
    const months = Math.ceil(60 * d! ** 2);
    const minutes = Math.round(900 * e! * (plan[0] === "family" ? 1.5 : 1));
    const price = (plan[0] === "basic" ? 12 : 25) + 20 * f!;
    // it falls with the time they have stayed; who pays much for few calls leaves, but for families
    const wasted = plan[0] === "family" ? 0 : Math.max(0, price / 10 - minutes / 150);
    const logit = plan[1] + city[1] + payment[1] + 1.5 * Math.exp(-months / 8) + 0.9 * wasted - 1.6;
    const chance = 1 / (1 + Math.exp(-logit));
    const shownMinutes = missing! < 0.05 ? "" : minutes; // some are not known
    return [
      plan[0],
      city[0],
      payment[0],
      months,
      shownMinutes,
      price.toFixed(2),
      chance.toFixed(4),
      g! < chance ? 1 : 0,
    ];
  });
  const header = ["plan", "city", "payment", "months", "minutes", "price", "chance", "left"];
  writeFileSync(path, `${[header, ...rows].map((row) => row.join(",")).join("\n")}\n`);
}

/** The entry that a number from 0 to 1 falls on. */
function pick(weights: Record<string, number>, uniform: number): [name: string, weight: number] {
  const entries = Object.entries(weights);
  return entries[Math.floor(uniform * entries.length)]!;
}
