import { writePickle } from "./pickle-writer.js";
import { collectBytes, contentOf, type Sink, writeFileAtomically } from "./sink.js";
import { ZipWriter } from "./zip-writer.js";

/**
 * Writes an object so that `torch.load` in Python, with `weights_only=True`, and {@link load} read it.
 *
 * | here | Python |
 * |---|---|
 * | plain object, `Map` | `dict` (with texts as keys, with the keys of the Map); an `OrderedDict` where {@link orderedDict} marked it |
 * | `Array`, {@link Tuple}, {@link Size}, `Set` | `list`, `tuple`, `torch.Size`, `set` |
 * | a number with an integer value up to 2^53, `bigint` | `int` |
 * | another number, {@link PyFloat} | `float` |
 * | `null`, `boolean`, `string`, `Complex`, `Uint8Array` | `None`, `bool`, `str`, `complex`, `bytes` |
 * | {@link PyDtype}, {@link PyDevice} | `torch.dtype`, `torch.device` |
 * | `Tensor`, `Parameter` | the same; memory that tensors share is written once and shared again when read |
 *
 * Fields that are undefined are left out; elsewhere undefined becomes `None`. What {@link load} remembers of Python beside the values
 * (see {@link traitsOf}) is written again.
 *
 * The file appears under its name only when it is complete and on the disk: it is written under another name in the same folder and then
 * renamed, so that a crash or a full disk leaves what was there before.
 *
 * @throws SerializationError where a part of the object has no form in Python (the message has the path to it), or the file system refuses
 * @see https://docs.pytorch.org/docs/stable/generated/torch.save.html
 */
export function save(object: unknown, path: string | URL): void {
  const write = archive(object);
  writeFileAtomically(path, write);
}

/** The bytes that {@link save} would write. */
export function encode(object: unknown): Uint8Array {
  return collectBytes(archive(object));
}

/** Makes the pickle, and gives the function that writes the archive around it. */
function archive(object: unknown): (sink: Sink) => void {
  const { bytes, storages } = writePickle(object);
  return (sink) => {
    const zip = new ZipWriter(sink);
    const text = (name: string, content: string) =>
      zip.add(`archive/${name}`, contentOf(Buffer.from(content, "latin1")));
    zip.add("archive/data.pkl", contentOf(bytes));
    text(".format_version", "1");
    text(".storage_alignment", "64");
    text("byteorder", "little");
    storages.forEach(({ content }, key) => {
      zip.add(`archive/data/${key}`, content);
    });
    text("version", "3\n");
    zip.finish();
  };
}
