// What a tensor is (shape, type, memory) and how its values cross between JavaScript and libtorch.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

#include "convert.h"

namespace levin {

namespace {

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

napi_value dtype(Environment& environment, const Arguments& arguments) {
  return toJs(environment, std::string(dtypeName(self(environment, arguments).scalar_type())));
}

napi_value device(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).device().str());
}

napi_value layout(Environment& environment, const Arguments& arguments) {
  switch (self(environment, arguments).layout()) {
    case at::kStrided: return toJs(environment, std::string("strided"));
    case at::kSparse: return toJs(environment, std::string("sparse_coo"));
    case at::kSparseCsr: return toJs(environment, std::string("sparse_csr"));
    case at::kSparseCsc: return toJs(environment, std::string("sparse_csc"));
    case at::kSparseBsr: return toJs(environment, std::string("sparse_bsr"));
    case at::kSparseBsc: return toJs(environment, std::string("sparse_bsc"));
    case at::kMkldnn: return toJs(environment, std::string("mkldnn"));
    default: return toJs(environment, std::string("other"));
  }
}

napi_value isContiguous(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_contiguous());
}

napi_value isView(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_view());
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
  return fromIValue(environment, c10::IValue(tensor.item()));
}

// fromBytes(view, dtype, sizes): a new CPU tensor with a copy of the bytes of an ArrayBuffer view, in row-major order.
napi_value fromBytes(Environment& environment, const Arguments& arguments) {
  collectUnderPressure(environment);
  bool isTyped = false;
  if (arguments[0] != nullptr) check(environment, napi_is_typedarray(environment.env, arguments[0], &isTyped));
  if (!isTyped) throw ArgumentError("fromTypedArray: a typed array is required, got " + describe(environment, arguments[0]));
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(environment, napi_get_typedarray_info(environment.env, arguments[0], &type, &length, &data, nullptr, nullptr));
  static constexpr size_t widths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2};
  size_t bytes = length * widths[type];
  at::ScalarType scalarType = toDType(environment, arguments[1], "fromTypedArray: dtype");
  std::vector<int64_t> shape = toInts(environment, arguments[2], "fromTypedArray: shape");
  size_t wanted = c10::elementSize(scalarType);
  for (int64_t size : shape) {
    if (size < 0) throw ArgumentError("fromTypedArray: shape must not have negative sizes, got " + describe(environment, arguments[2]));
    if (size != 0 && wanted > bytes) break;
    wanted *= static_cast<size_t>(size);
  }
  if (wanted != bytes) {
    throw ArgumentError("fromTypedArray: the shape " + describe(environment, arguments[2]) + " of " + dtypeName(scalarType) +
                        " does not fit the " + std::to_string(bytes) + " bytes that are given");
  }
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(scalarType));
  if (bytes > 0) std::memcpy(tensor.data_ptr(), data, bytes);
  return wrapTensor(environment, tensor);
}

// A contiguous CPU tensor with the values of `tensor`.
at::Tensor onHost(const at::Tensor& tensor) {
  at::Tensor plain = tensor.detach();
  if (plain.layout() != at::kStrided) plain = plain.to_dense();
  if (plain.is_quantized()) plain = plain.dequantize();
  if (plain.device().type() == at::kMeta) throw ArgumentError("a tensor on the meta device has no values");
  return plain.resolve_conj().resolve_neg().to(at::kCPU).contiguous();
}

// toBytes(handle): an ArrayBuffer with a copy of the values in row-major order.
napi_value toBytes(Environment& environment, const Arguments& arguments) {
  at::Tensor tensor = onHost(self(environment, arguments));
  size_t bytes = tensor.nbytes();
  void* data = nullptr;
  napi_value buffer = nullptr;
  check(environment, napi_create_arraybuffer(environment.env, bytes, &data, &buffer));
  if (bytes > 0) std::memcpy(data, tensor.data_ptr(), bytes);
  return buffer;
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
  if (tensor.layout() != at::kStrided || !tensor.device().is_cpu() || !tensor.has_storage()) {
    throw ArgumentError(std::string(what) + ": the tensor's memory is not in this process's CPU memory (device " +
                        tensor.device().str() + "); copy it with cpu() first");
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
  const at::Tensor& base = self(environment, arguments);
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

}  // namespace

std::vector<Export> tensorExports() {
  return {{"sizes", guarded<sizes>},
          {"strides", guarded<strides>},
          {"storageOffset", guarded<storageOffset>},
          {"dim", guarded<dim>},
          {"numel", guarded<numel>},
          {"dtype", guarded<dtype>},
          {"device", guarded<device>},
          {"layout", guarded<layout>},
          {"isContiguous", guarded<isContiguous>},
          {"isView", guarded<isView>},
          {"isSame", guarded<isSame>},
          {"item", guarded<item>},
          {"fromBytes", guarded<fromBytes>},
          {"toBytes", guarded<toBytes>},
          {"viewBytes", guarded<viewBytes>},
          {"storageBytes", guarded<storageBytes>},
          {"storageId", guarded<storageId>},
          {"viewStorage", guarded<viewStorage>}};
}

}  // namespace levin
