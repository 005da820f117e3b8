export { type Collate, type Collated, defaultCollate, defaultConvert } from "./collate.js";
export { ChainDataset, ConcatDataset, StackDataset, type Stacked } from "./combine.js";
export {
  type Dataset,
  type IterableDataset,
  type Row,
  randomSplit,
  Subset,
  TensorDataset,
} from "./dataset.js";
export type { ImageTransform } from "./datasets/byte-images.js";
export { CIFAR10, type CIFAR10Options } from "./datasets/cifar10.js";
export { CSVDataset, type CSVOptions, type CSVRow } from "./datasets/csv.js";
export { type Checksum, downloadFile, type MirrorOptions } from "./datasets/download.js";
export { type ReadIdxOptions, readIdx } from "./datasets/idx.js";
export { ImageFolder, type ImageFolderOptions } from "./datasets/image-folder.js";
export { JSONLDataset } from "./datasets/jsonl.js";
export { FashionMNIST, MNIST, type MNISTOptions } from "./datasets/mnist.js";
export { TextWindowDataset } from "./datasets/text-windows.js";
export type { LoaderIterator } from "./epoch.js";
export { DataLoader, type DataLoaderOptions, type UnbatchedLoaderOptions } from "./loader.js";
export {
  BatchSampler,
  DistributedSampler,
  type DistributedSamplerOptions,
  RandomSampler,
  type RandomSamplerOptions,
  type Sampler,
  SequentialSampler,
  type Sized,
  SubsetRandomSampler,
  WeightedRandomSampler,
} from "./sampler.js";
export type { Stateful } from "./state.js";
export { StatefulDataLoader } from "./stateful-loader.js";
export { WorkerError } from "./workers/errors.js";
export { getWorkerInfo, type WorkerInfo } from "./workers/info.js";
export { forWorkers, type WorkerArguments } from "./workers/portable.js";
