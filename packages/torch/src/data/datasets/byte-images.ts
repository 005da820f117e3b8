import type { Tensor } from "../../tensor.js";
import { type Dataset, indexTensor } from "../dataset.js";

/** Changes images: gets one of shape (C, H, W), or a batch of (n, C, H, W) where a loader asks for a whole one. */
export type ImageTransform = (images: Tensor) => Tensor;

/** Images that stay bytes in memory and become floats from 0 to 1 a batch at a time, with a class each. */
export abstract class ByteImages implements Dataset<[image: Tensor, label: number]> {
  /** All images: uint8, (n, H, W) or (n, C, H, W). */
  readonly images: Tensor;
  /** All labels: int64, (n). */
  readonly labels: Tensor;
  readonly length: number;
  readonly transform: ImageTransform | undefined;

  constructor(images: Tensor, labels: Tensor, transform: ImageTransform | undefined) {
    this.images = images;
    this.labels = labels;
    this.length = images.size(0);
    this.transform = transform;
  }

  /** An image (C, H, W) and its class. */
  getItem(index: number): [image: Tensor, label: number] {
    const image = this.images.select(0, index);
    return [
      floats(this, image.dim() === 2 ? image.unsqueeze(0) : image),
      this.labels.select(0, index).item(),
    ];
  }

  /** A batch: images (n, C, H, W), labels (n). */
  getItems(indices: readonly number[]): [images: Tensor, labels: Tensor] {
    const rows = indexTensor(indices, this.length);
    const images = this.images.indexSelect(0, rows);
    return [
      floats(this, images.dim() === 3 ? images.unsqueeze(1) : images),
      this.labels.indexSelect(0, rows),
    ];
  }
}

function floats(dataset: ByteImages, bytes: Tensor): Tensor {
  const images = bytes.to("float32").div_(255);
  return dataset.transform ? dataset.transform(images) : images;
}
