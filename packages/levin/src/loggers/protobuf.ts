import { onDemand } from "../on-demand.js";

const wire = onDemand<typeof import("@bufbuild/protobuf/wire")>("@bufbuild/protobuf/wire");

/** Writes the fields of a message. */
export type Fields = (message: MessageWriter) => void;

/** Writes protobuf messages by the numbers of their fields. */
export class MessageWriter {
  readonly #writer = new (wire().BinaryWriter)();
  readonly #types = wire().WireType;

  string(field: number, value: string): this {
    this.#writer.tag(field, this.#types.LengthDelimited).string(value);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#writer.tag(field, this.#types.LengthDelimited).bytes(value);
    return this;
  }

  /** An int32, int64, uint32 or enum. */
  int(field: number, value: number): this {
    this.#writer.tag(field, this.#types.Varint).int64(value);
    return this;
  }

  bool(field: number, value: boolean): this {
    this.#writer.tag(field, this.#types.Varint).bool(value);
    return this;
  }

  double(field: number, value: number): this {
    this.#writer.tag(field, this.#types.Bit64).double(value);
    return this;
  }

  /** A float; beyond the range of 32 bits it becomes infinite. */
  float(field: number, value: number): this {
    this.#writer.tag(field, this.#types.Bit32).float(Math.fround(value));
    return this;
  }

  message(field: number, fields: Fields): this {
    this.#writer.tag(field, this.#types.LengthDelimited).fork();
    fields(this);
    this.#writer.join();
    return this;
  }

  /** A repeated field of numbers, packed. */
  packed(field: number, type: "double" | "float" | "int64", values: Iterable<number>): this {
    this.#writer.tag(field, this.#types.LengthDelimited).fork();
    for (const value of values) this.#writer[type](type === "float" ? Math.fround(value) : value);
    this.#writer.join();
    return this;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

/** The bytes of a message. */
export function encode(fields: Fields): Uint8Array {
  const message = new MessageWriter();
  fields(message);
  return message.finish();
}
