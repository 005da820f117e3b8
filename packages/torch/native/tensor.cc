// What a tensor is (shape, type, memory) and how its values cross between JavaScript and libtorch.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/autograd/variable.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <algorithm>
#include <cstring>

#include "convert.h"

namespace levin {

namespace {

// Valid until JavaScript code runs.
const at::Tensor& self(Environment& environment, const Arguments& arguments) {
  return unwrapTensor(environment, arguments[0], "the receiver");
}

napi_value sizes(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).sizes());
}

napi_value strides(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).strides());
}

napi_value storageOffset(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).storage_offset());
}

napi_value dim(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).dim());
}

napi_value numel(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).numel());
}

// sameSizes(tensor, other): whether both have the same shape.
napi_value sameSizes(Environment& environment, const Arguments& arguments) {
  const at::Tensor& other = unwrapTensor(environment, arguments[1], "the other tensor");
  return toJs(environment, self(environment, arguments).sizes().equals(other.sizes()));
}

const char* layoutName(at::Layout layout) {
  switch (layout) {
    case at::kStrided: return "strided";
    case at::kSparse: return "sparse_coo";
    case at::kSparseCsr: return "sparse_csr";
    case at::kSparseCsc: return "sparse_csc";
    case at::kSparseBsr: return "sparse_bsr";
    case at::kSparseBsc: return "sparse_bsc";
    case at::kMkldnn: return "mkldnn";
    case at::kJagged: return "jagged";
    default: return "other";
  }
}

// kindNumber(tensor): another number for each type, device and layout.
napi_value kindNumber(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  at::Device device = tensor.device();
  int64_t number = static_cast<int64_t>(device.type()) << 8 | static_cast<uint8_t>(device.index());
  return toJs(environment, (number << 8 | static_cast<int64_t>(tensor.scalar_type())) << 4 | static_cast<int64_t>(tensor.layout()));
}

// kindNames(tensor): [type, device, layout]
napi_value kindNames(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  std::string names[] = {dtypeName(tensor.scalar_type()), tensor.device().str(), layoutName(tensor.layout())};
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, 3, &array));
  for (uint32_t i = 0; i < 3; ++i) check(environment, napi_set_element(environment.env, array, i, toJs(environment, names[i])));
  return array;
}

napi_value isContiguous(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_contiguous());
}

napi_value isView(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_view());
}

napi_value isNested(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_nested());
}

napi_value isSame(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_same(unwrapTensor(environment, arguments[1], "the other tensor")));
}

// item(handle): the one value as number, boolean, { re, im }, or bigint where a number would not be exact.
napi_value item(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (tensor.numel() != 1) {
    throw ArgumentError("item: a tensor with exactly one element is required, this one has " +
                        std::to_string(tensor.numel()) + "; use toArray() for several");
  }
  at::Scalar value = tensor.item();
  if (value.isIntegral(false) && value.type() == at::ScalarType::UInt64) return toJs(environment, value.toUInt64());
  return fromIValue(environment, c10::IValue(value));
}

// The memory of a typed array. Valid until JavaScript code runs, which may transfer or resize the buffer.
struct Bytes {
  void* data = nullptr;
  size_t count = 0;
};

Bytes bytesOf(Environment& environment, napi_value value, const char* what) {
  bool isTyped = false;
  if (value != nullptr) check(environment, napi_is_typedarray(environment.env, value, &isTyped));
  if (!isTyped) throw ArgumentError(std::string(what) + ": a typed array is required, got " + describe(environment, value));
  static constexpr size_t widths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2};
  napi_typedarray_type type;
  size_t length = 0;
  Bytes bytes;
  check(environment, napi_get_typedarray_info(environment.env, value, &type, &length, &bytes.data, nullptr, nullptr));
  if (static_cast<size_t>(type) >= std::size(widths)) {
    throw ArgumentError(std::string(what) + ": typed arrays of this kind are not known");
  }
  bytes.count = length * widths[type];
  return bytes;
}

// fromBytes(view, dtype, sizes): a new CPU tensor with a copy of the bytes of an ArrayBuffer view, in row-major order.
napi_value fromBytes(Environment& environment, const Arguments& arguments) {
  at::ScalarType scalarType = toDType(environment, arguments[1], "fromTypedArray: dtype");
  std::vector<int64_t> shape = toInts(environment, arguments[2], "fromTypedArray: shape");
  // The arguments above may be read by code of the user: nothing but this addon's runs from here on.
  size_t given = bytesOf(environment, arguments[0], "fromTypedArray").count;
  __int128 wanted = static_cast<__int128>(c10::elementSize(scalarType));
  for (int64_t size : shape) {
    if (size < 0) throw ArgumentError("fromTypedArray: shape must not have negative sizes, got " + describe(environment, arguments[2]));
    // Kept small enough for the next product, and larger than any number of bytes.
    wanted = std::min(wanted * size, static_cast<__int128>(1) << 63);
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) wanted = 0;
  if (wanted != static_cast<__int128>(given)) {
    throw ArgumentError("fromTypedArray: the shape " + describe(environment, arguments[2]) + " of " + dtypeName(scalarType) +
                        " does not fit the " + std::to_string(given) + " bytes that are given");
  }
  collectUnderPressure(environment);
  at::Tensor tensor = withRoom(environment, [&] { return at::empty(shape, at::TensorOptions().dtype(scalarType)); });
  Bytes bytes = bytesOf(environment, arguments[0], "fromTypedArray");
  if (bytes.count != given) throw ArgumentError("fromTypedArray: the typed array changed its size meanwhile");
  if (given > 0) std::memcpy(tensor.data_ptr(), bytes.data, given);
  return wrapTensor(environment, tensor);
}

// A contiguous CPU tensor with the values of `tensor`.
at::Tensor onHost(const at::Tensor& tensor) {
  if (tensor.device().is_meta()) throw ArgumentError("a tensor on the meta device has no values");
  if (tensor.is_nested()) throw ArgumentError("a nested tensor has no single shape; take its parts with unbind()");
  at::Tensor plain = tensor.detach();
  if (plain.layout() != at::kStrided) plain = plain.to_dense();
  if (plain.is_quantized()) plain = plain.dequantize();
  if (plain._is_zerotensor()) plain = at::zeros(plain.sizes(), plain.options());
  return plain.resolve_conj().resolve_neg().to(at::kCPU).contiguous();
}

// toBytes(handle, view): writes the values in row-major order into a typed array of their size.
napi_value toBytes(Environment& environment, const Arguments& arguments) {
  at::Tensor tensor = withRoom(environment, [&] { return onHost(self(environment, arguments)); });
  Bytes bytes = bytesOf(environment, arguments[1], "toTypedArray");
  if (bytes.count != tensor.nbytes()) {
    throw ArgumentError("toTypedArray: an array of " + std::to_string(tensor.nbytes()) + " bytes is required, got " +
                        std::to_string(bytes.count));
  }
  if (bytes.count > 0) std::memcpy(bytes.data, tensor.const_data_ptr(), bytes.count);
  return nullptr;
}

// An ArrayBuffer over memory of the storage, which lives as long as the buffer and can no longer be resized.
napi_value bufferOver(Environment& environment, const at::Storage& storage, void* data, size_t bytes) {
  napi_value buffer = nullptr;
  if (bytes == 0) {
    void* nothing = nullptr;
    check(environment, napi_create_arraybuffer(environment.env, 0, &nothing, &buffer));
    return buffer;
  }
  storage.unsafeGetStorageImpl()->set_resizable(false);
  auto* kept = new at::Storage(storage);
  auto release = [](node_api_nogc_env, void*, void* hint) { delete static_cast<at::Storage*>(hint); };
  napi_status status = napi_create_external_arraybuffer(environment.env, data, bytes, release, kept, &buffer);
  if (status != napi_ok) {
    delete kept;
    check(environment, status);
  }
  return buffer;
}

void requireHostMemory(const at::Tensor& tensor, const char* what) {
  if (tensor.layout() != at::kStrided || !tensor.device().is_cpu() || !tensor.has_storage() || tensor._is_zerotensor()) {
    throw ArgumentError(std::string(what) + ": the tensor has no plain memory on the CPU (it is " + layoutName(tensor.layout()) +
                        " on " + tensor.device().str() + "); copy it with cpu(), toDense() or clone() first");
  }
}

// viewBytes(handle): an ArrayBuffer over the tensor's own memory; it must be contiguous and on the CPU.
napi_value viewBytes(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  requireHostMemory(tensor, "asTypedArray");
  if (!tensor.is_contiguous() || tensor.is_conj() || tensor.is_neg()) {
    throw ArgumentError("asTypedArray: the tensor is not contiguous; use contiguous() first, or toTypedArray() for a copy");
  }
  return bufferOver(environment, tensor.storage(), tensor.data_ptr(), tensor.nbytes());
}

// storageBytes(handle): an ArrayBuffer over the whole storage of a CPU tensor.
napi_value storageBytes(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  requireHostMemory(tensor, "storageBytes");
  const at::Storage& storage = tensor.storage();
  return bufferOver(environment, storage, storage.mutable_data(), storage.nbytes());
}

// storageSize(handle): how many bytes the tensor's storage has, on any device.
napi_value storageSize(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (!tensor.has_storage()) throw ArgumentError("storageSize: the tensor has no storage");
  return toJs(environment, static_cast<int64_t>(tensor.storage().nbytes()));
}

// withStorageBytes(handle, offset, size, use): calls `use` with an ArrayBuffer over a part of the storage of a CPU tensor, which is
// empty afterwards. Unlike bufferOver's, it keeps nothing: Node frees what an external buffer keeps only in the event loop.
napi_value withStorageBytes(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  requireHostMemory(tensor, "withStorageBytes");
  at::Storage storage = tensor.storage();
  int64_t total = static_cast<int64_t>(storage.nbytes());
  int64_t offset = toInt(environment, arguments[1], "withStorageBytes: offset");
  int64_t size = toInt(environment, arguments[2], "withStorageBytes: size");
  if (offset < 0 || size < 1 || offset > total || size > total - offset) {
    throw ArgumentError("withStorageBytes: the part lies outside of the storage's " + std::to_string(total) + " bytes");
  }
  auto keepNothing = [](node_api_nogc_env, void*, void*) {};
  napi_value buffer = nullptr;
  check(environment, napi_create_external_arraybuffer(environment.env, static_cast<char*>(storage.mutable_data()) + offset,
                                                      static_cast<size_t>(size), keepNothing, nullptr, &buffer));
  bool resizable = storage.resizable();
  storage.unsafeGetStorageImpl()->set_resizable(false);
  auto release = [&] {
    if (napi_detach_arraybuffer(environment.env, buffer) == napi_ok) {
      storage.unsafeGetStorageImpl()->set_resizable(resizable);
    } else {
      new at::Storage(storage);  // the callback gave the buffer away: its memory must stay
    }
  };
  try {
    callFunction(environment, arguments[3], {buffer});
  } catch (...) {
    release();
    throw;
  }
  release();
  return nullptr;
}

// writeStorage(handle, offset, view): copies the bytes of a Uint8Array into the storage of a CPU tensor.
napi_value writeStorage(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  requireHostMemory(tensor, "writeStorage");
  int64_t offset = toInt(environment, arguments[1], "writeStorage: offset");
  bool isTyped = false;
  if (arguments[2] != nullptr) check(environment, napi_is_typedarray(environment.env, arguments[2], &isTyped));
  if (!isTyped) throw ArgumentError("writeStorage: a Uint8Array is required, got " + describe(environment, arguments[2]));
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(environment, napi_get_typedarray_info(environment.env, arguments[2], &type, &length, &data, nullptr, nullptr));
  if (type != napi_uint8_array) throw ArgumentError("writeStorage: a Uint8Array is required, got " + describe(environment, arguments[2]));
  const at::Storage& storage = tensor.storage();
  if (offset < 0 || static_cast<size_t>(offset) > storage.nbytes() || length > storage.nbytes() - static_cast<size_t>(offset)) {
    throw ArgumentError("writeStorage: the bytes reach outside of the storage");
  }
  if (length > 0) std::memcpy(static_cast<char*>(storage.mutable_data()) + offset, data, length);
  return nullptr;
}

// mapFile(file descriptor, offset, size): a tensor of bytes over a part of a file, which is read when it is touched.
// Writing to it does not change the file.
napi_value mapFile(Environment& environment, const Arguments& arguments) {
  int64_t file = toInt(environment, arguments[0], "mapFile: file");
  int64_t offset = toInt(environment, arguments[1], "mapFile: offset");
  int64_t size = toInt(environment, arguments[2], "mapFile: size");
  struct stat status;
  if (fstat(static_cast<int>(file), &status) != 0) throw ArgumentError("mapFile: the file is not open");
  if (offset < 0 || size < 1 || offset > status.st_size || size > status.st_size - offset) {
    throw ArgumentError("mapFile: the part lies outside of the file's " + std::to_string(status.st_size) + " bytes");
  }
  // A mapping begins at a page.
  int64_t before = offset % sysconf(_SC_PAGESIZE);
  size_t length = static_cast<size_t>(size + before);
  void* mapping = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, static_cast<int>(file), offset - before);
  if (mapping == MAP_FAILED) throw ArgumentError(std::string("mapFile: the file cannot be mapped: ") + std::strerror(errno));
  auto release = [mapping, length](void*) { munmap(mapping, length); };
  return wrapTensor(environment, at::from_blob(static_cast<char*>(mapping) + before, {size}, release, at::TensorOptions().dtype(at::kByte)));
}

// storageId(handle): a bigint that is equal for tensors that share memory.
napi_value storageId(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  uint64_t id = tensor.has_storage() ? reinterpret_cast<uint64_t>(tensor.storage().unsafeGetStorageImpl()) : 0;
  napi_value result = nullptr;
  check(environment, napi_create_bigint_uint64(environment.env, id, &result));
  return result;
}

// viewStorage(handle, dtype, sizes, strides, offset): a tensor over the same storage; every element must lie inside it.
napi_value viewStorage(Environment& environment, const Arguments& arguments) {
  at::Tensor base = self(environment, arguments);  // a copy: reading the numbers below may run code of the user
  at::ScalarType scalarType = toDType(environment, arguments[1], "viewStorage: dtype");
  std::vector<int64_t> shape = toInts(environment, arguments[2], "viewStorage: shape");
  std::vector<int64_t> stride = toInts(environment, arguments[3], "viewStorage: stride");
  int64_t offset = toInt(environment, arguments[4], "viewStorage: offset");
  if (shape.size() != stride.size()) throw ArgumentError("viewStorage: shape and stride must have the same length");
  if (!base.has_storage()) throw ArgumentError("viewStorage: the tensor has no storage");
  // 128 bits hold any product of one size and one stride.
  __int128 last = offset;
  bool empty = false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < 0 || stride[d] < 0) throw ArgumentError("viewStorage: shape and stride must not be negative");
    if (shape[d] == 0) empty = true;
    if (shape[d] > 0) last += static_cast<__int128>(shape[d] - 1) * stride[d];
  }
  __int128 elements = static_cast<__int128>(base.storage().nbytes() / c10::elementSize(scalarType));
  if (offset < 0 || (!empty && last >= elements)) {
    throw ArgumentError("viewStorage: the view reaches outside the storage's " + std::to_string(base.storage().nbytes()) + " bytes");
  }
  at::Tensor view = at::empty({0}, base.options().dtype(scalarType).requires_grad(false));
  view.set_(base.storage(), offset, shape, stride);
  return wrapTensor(environment, view);
}

// Whether a fused kernel may go through both memories side by side.
bool isAligned(const at::Tensor& tensor, const at::Tensor& first) {
  if (tensor.layout() != at::kStrided || tensor.is_neg() || tensor.scalar_type() != first.scalar_type()) return false;
  if (tensor.device() != first.device() || tensor.sizes() != first.sizes()) return false;
  if (tensor.is_contiguous()) return first.is_contiguous();
  return !first.is_cpu() && tensor.is_non_overlapping_and_dense() && tensor.strides() == first.strides();
}

// fitsFusedKernel(lists, counts): fused optimizers go through memory without a look at shapes. Whether the tensors at the same place
// of all lists agree in type, device, shape and order in memory, and kernels on their device can read the counts.
napi_value fitsFusedKernel(Environment& environment, const Arguments& arguments) {
  uint32_t count = 0;
  check(environment, napi_get_array_length(environment.env, arguments[0], &count));
  std::vector<at::Tensor> first;
  for (uint32_t k = 0; k < count; ++k) {
    napi_value list = nullptr;
    check(environment, napi_get_element(environment.env, arguments[0], k, &list));
    std::vector<at::Tensor> tensors = unwrapTensors(environment, list, "fitsFusedKernel: lists");
    if (k == 0) first = tensors;
    if (tensors.size() != first.size()) return toJs(environment, false);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!isAligned(tensors[i], first[i])) return toJs(environment, false);
    }
  }
  std::vector<at::Tensor> counts = unwrapTensors(environment, arguments[1], "fitsFusedKernel: counts");
  if (!counts.empty() && counts.size() != first.size()) return toJs(environment, false);
  for (size_t i = 0; i < counts.size(); ++i) {
    bool readable = counts[i].device() == first[i].device() && counts[i].scalar_type() == at::kFloat;
    if (counts[i].numel() != 1 || (!first[i].is_cpu() && !readable)) return toJs(environment, false);
  }
  return toJs(environment, true);
}

}  // namespace

std::vector<Export> tensorExports() {
  return {{"sizes", guarded<sizes>},
          {"strides", guarded<strides>},
          {"storageOffset", guarded<storageOffset>},
          {"dim", guarded<dim>},
          {"numel", guarded<numel>},
          {"sameSizes", guarded<sameSizes>},
          {"kindNumber", guarded<kindNumber>},
          {"kindNames", guarded<kindNames>},
          {"isContiguous", guarded<isContiguous>},
          {"isView", guarded<isView>},
          {"isNested", guarded<isNested>},
          {"isSame", guarded<isSame>},
          {"item", guarded<item>},
          {"fromBytes", guarded<fromBytes>},
          {"toBytes", guarded<toBytes>},
          {"viewBytes", guarded<viewBytes>},
          {"storageBytes", guarded<storageBytes>},
          {"storageSize", guarded<storageSize>},
          {"withStorageBytes", guarded<withStorageBytes>},
          {"writeStorage", guarded<writeStorage>},
          {"mapFile", guarded<mapFile>},
          {"storageId", guarded<storageId>},
          {"viewStorage", guarded<viewStorage>},
          {"fitsFusedKernel", guarded<fitsFusedKernel>}};
}

}  // namespace levin
