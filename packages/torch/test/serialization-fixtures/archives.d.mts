/** An entry of a zip file; what is given beside `name` and `bytes` takes the place of what would be right. */
export interface Entry {
  name: string;
  bytes: Uint8Array;
  crc?: number;
  size?: number;
  storedSize?: number;
  method?: number;
  offset?: number;
  flags?: number;
}
export type Part = number | string | Uint8Array | readonly Part[];
export function zip(entries: readonly Entry[]): Buffer;
export function unzip(bytes: Uint8Array): (Entry & { size: number; crc: number; method: number })[];
export function torchZip(pickle: Uint8Array, storages?: readonly Uint8Array[]): Buffer;
export function tar(entries: readonly { name: string; bytes: Uint8Array }[]): Buffer;
export function pickle(...parts: Part[]): Buffer;
export function uint(value: number | bigint, size?: 4 | 8): Buffer;
export function text(value: string): Buffer;
