export { SerializationError } from "./errors.js";
export { decode, type LoadOptions, load } from "./load.js";
export type { MapLocation } from "./map-location.js";
export { type LoadNpyOptions, loadNpy, saveNpy } from "./npy.js";
export { type LoadNpzOptions, loadNpz, type SaveNpzOptions, saveNpz } from "./npz.js";
export {
  type MappingType,
  orderedDict,
  PyDevice,
  PyDtype,
  PyFloat,
  PythonGlobal,
  PythonObject,
  type PythonTraits,
  Size,
  Tuple,
  traitsOf,
} from "./python.js";
export {
  type LoadSafetensorsOptions,
  loadSafetensors,
  loadSafetensorsMetadata,
  type SaveSafetensorsOptions,
  saveSafetensors,
} from "./safetensors.js";
export { encode, save } from "./save.js";
export type { FileOrBytes } from "./source.js";
export { getStorage } from "./tensor-facts.js";
