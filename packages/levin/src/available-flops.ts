import { cuda, type Device, getFloat32MatmulPrecision } from "@levin/torch";
import { warn } from "./messages.js";
import type { PrecisionName } from "./precision/precision.js";

/** In which numbers a GPU multiplies matrices. */
type Format = "float64" | "float32" | "tfloat32" | "bfloat16" | "float16";
type Flops = Partial<Record<Format, number>>;

const half = (flops: number): Flops => ({ bfloat16: flops, float16: flops });

/**
 * The operations per second of NVIDIA's GPUs, in units of 10^12, from their data sheets (those of Lightning's table, with
 * sparsity where that has it).
 */
const teraflops: Readonly<Record<string, Flops>> = {
  "h200 sxm1": { float64: 34, float32: 67, tfloat32: 990, ...half(2000) },
  "h200 nvl1": { float64: 30, float32: 60, tfloat32: 840, ...half(1700) },
  "h100 nvl": { float64: 67, float32: 133.8, tfloat32: 989.4, ...half(1978.8) },
  "h100 sxm": { float64: 33.5, float32: 66.9, tfloat32: 494.7, ...half(989.4) },
  "h100 pcie": { float64: 25.6, float32: 51.2, tfloat32: 378, ...half(756) },
  "rtx 4090": { float32: 82.6, tfloat32: 82.6, ...half(82.6) },
  "rtx 4080": { float32: 48.7, tfloat32: 48.7, ...half(48.7) },
  "rtx 4080 super": { float32: 52.2, tfloat32: 52.2, ...half(52.2) },
  l4: { float32: 30.3, tfloat32: 60, ...half(121) },
  l40: { float32: 90.5, tfloat32: 90.5, ...half(181) },
  a100: { float64: 9.7, float32: 19.5, tfloat32: 156, ...half(312) },
  a6000: { float32: 38.7, tfloat32: 77.4, ...half(38.7) },
  a40: { float32: 37.4, tfloat32: 74.8, ...half(37.4) },
  a10g: { float32: 31.2, tfloat32: 62.5, ...half(125) },
  "rtx 3090 ti": { float32: 40, tfloat32: 40, ...half(40) },
  "rtx 3090": { float32: 35.6, tfloat32: 35.6, ...half(35.6) },
  "rtx 3080 ti": { float32: 34.1, tfloat32: 34.1, ...half(34.1) },
  "rtx 3080": { float32: 29.8, tfloat32: 29.8, ...half(29.8) },
  "rtx 3070": { float32: 20.3, tfloat32: 20.3, ...half(20.3) },
  t4: { float32: 8.1, float16: 65 },
  "quadro rtx 5000": { float32: 11.2, float16: 89.2 },
  "rtx 2080 super": { float32: 11.2, float16: 22.3 },
  "rtx 2080 ti": { float32: 14.2, float16: 28.5 },
  "rtx 2080": { float32: 10.6, float16: 21.2 },
  "rtx 2070 super": { float32: 9.1, float16: 18.1 },
  "titan rtx": { float32: 16.3, float16: 32.6 },
  "v100 sxm": { float64: 7.8, float32: 15.7, float16: 125 },
  "v100 pcie": { float64: 7, float32: 14, float16: 112 },
  "v100s pcie": { float64: 8.2, float32: 16.4, float16: 130 },
};

const formats: Readonly<Record<PrecisionName, Format>> = {
  "64-true": "float64",
  "32-true": "float32",
  "16-true": "float16",
  "bf16-true": "bfloat16",
  "16-mixed": "float16",
  "bf16-mixed": "bfloat16",
};

/** The floating point operations that a device can do in a second in theory; null where that isn't known. */
export function getAvailableFlops(device: Device, precision: PrecisionName): number | null {
  if (!device.startsWith("cuda")) return null;
  const { name, major } = cuda.getDeviceProperties(Number(device.split(":")[1] ?? 0));
  const chip = chipOf(name.toLowerCase());
  const known = chip === null ? undefined : teraflops[chip];
  if (known === undefined) {
    warn(`The floating point operations per second of "${name}" are not known: there is no device/mfu.`);
    return null;
  }
  let format = formats[precision];
  if (format === "float32" && major >= 8 && getFloat32MatmulPrecision() !== "highest") format = "tfloat32";
  const flops = known[format];
  if (flops === undefined) {
    warn(`"${name}" does not multiply in ${format}: there is no device/mfu.`);
    return null;
  }
  return flops * 1e12;
}

/** The key of {@link teraflops} for a device's name in small letters. */
function chipOf(name: string): string | null {
  if (name.includes("h200")) return name.includes("nvl") ? "h200 nvl1" : "h200 sxm1";
  if (name.includes("h100")) {
    if (name.includes("hbm3")) return "h100 sxm";
    return name.includes("nvl") ? "h100 nvl" : "h100 pcie";
  }
  if (name.includes("l40")) return "l40";
  if (/\bl4\b/.test(name)) return "l4";
  const geforce = /geforce (rtx \d+)( super| ti)?/.exec(name);
  if (geforce) return geforce[1]! + (geforce[2] ?? "");
  if (name.includes("v100s")) return "v100s pcie";
  if (name.includes("v100")) return name.includes("sxm") ? "v100 sxm" : "v100 pcie";
  return (
    ["a6000", "a100", "a40", "a10g", "t4", "quadro rtx 5000", "titan rtx"].find((chip) =>
      name.includes(chip),
    ) ?? null
  );
}
