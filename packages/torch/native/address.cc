// Where a tensor's memory is.
#include "convert.h"

namespace levin {

namespace {

// dataPointer(handle): the address of the first element as a bigint; 0 where the tensor has no memory of its own.
napi_value dataPointer(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "dataPtr: tensor");
  uint64_t address = tensor.has_storage() ? reinterpret_cast<uint64_t>(tensor.const_data_ptr()) : 0;
  napi_value result = nullptr;
  check(environment, napi_create_bigint_uint64(environment.env, address, &result));
  return result;
}

}  // namespace

std::vector<Export> addressExports() {
  return {{"dataPointer", guarded<dataPointer>}};
}

}  // namespace levin
