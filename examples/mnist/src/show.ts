import { nn } from "@levin/torch";
import type { Prediction } from "./classifier.js";

/** Half blocks: two pixels, one above the other, in one character. */
const blocks = [" ", "▄", "▀", "█"];

/** Digits side by side, drawn with half blocks, with what they were taken for below. */
export function showDigits({ images, labels, digits, confidence }: Prediction): string {
  const small = nn.functional.avgPool2d(images, 2).squeeze(1).gt(0.5).toArray() as boolean[][][];
  const rows = Array.from({ length: 7 }, (_, row) =>
    small
      .map((image) =>
        image[2 * row]!.map((upper, x) => blocks[(upper ? 2 : 0) + (image[2 * row + 1]![x] ? 1 : 0)]).join(
          "",
        ),
      )
      .join("  "),
  );
  const captions = small.map((_, i) => {
    const [digit, label] = [digits.get(i).item(), labels.get(i).item()];
    const sure = `${(100 * Number(confidence.get(i).item())).toFixed(1)} %`;
    return `${digit} (${sure})${digit === label ? "" : `, not ${label}`}`.padEnd(14);
  });
  return [...rows, captions.join("  ")].map((line) => line.trimEnd()).join("\n");
}
