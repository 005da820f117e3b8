import { SerializationError } from "./errors.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 to a string. Python strings may hold halves of surrogate pairs, which strict UTF-8 has no bytes for: they are let through. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return decodeWithSurrogates(bytes);
  }
}

/** A string to UTF-8; halves of surrogate pairs get the bytes that Python gives them. */
export function encodeText(text: string): Uint8Array {
  if (!/\p{Surrogate}/u.test(text)) return Buffer.from(text, "utf8");
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const half = code >= 0xd800 && code <= 0xdfff;
    parts.push(
      half
        ? Uint8Array.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
        : Buffer.from(character, "utf8"),
    );
  }
  return Buffer.concat(parts);
}

function decodeWithSurrogates(bytes: Uint8Array): string {
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i + 2 < bytes.length; i++) {
    const half =
      bytes[i] === 0xed &&
      ((bytes[i + 1] as number) & 0xe0) === 0xa0 &&
      ((bytes[i + 2] as number) & 0xc0) === 0x80;
    if (!half) continue;
    parts.push(strict(bytes.subarray(start, i)));
    parts.push(
      String.fromCharCode(0xd000 | (((bytes[i + 1] as number) & 63) << 6) | ((bytes[i + 2] as number) & 63)),
    );
    start = i + 3;
    i += 2;
  }
  parts.push(strict(bytes.subarray(start)));
  return parts.join("");
}

function strict(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new SerializationError("a text is not valid UTF-8");
  }
}
