import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";

// Inner parts of libtorch read and write memory where their arguments say, without a check: with arguments that do not fit
// they end the process. The public operators around them check first. Found by scripts/fuzz-operators.mjs and by reading.

/** Families of them. */
const families: readonly RegExp[] = [
  /_backward(_|$)/, // the other half of an operator, for the graph to call
  /^aten::_fused_(adam|adamw|adagrad|sgd)_?$/, // one step of an optimizer, on lists that must belong together
  /^aten::_thnn_/,
  /^aten::_?native_batch_norm/,
  /^aten::_dyn_quant_/,
  /^aten::_nested_view_/,
  /^aten::_sparse_\w+_tensor_unsafe$/,
  /^aten::_fft_/,
  /^inductor::/, // views of storages without bounds
  /prepack/, // weights for quantized operators, packed for one machine
];

const single: ReadonlySet<string> = new Set([
  "_quantized::wrapped_fbgemm_linear_fp16_weight",
  "aten::_adaptive_avg_pool2d",
  "aten::_adaptive_avg_pool3d",
  "aten::_cholesky_solve_helper",
  "aten::_convert_indices_from_coo_to_csr",
  "aten::_convert_indices_from_csr_to_coo",
  "aten::_cummax_helper",
  "aten::_cummin_helper",
  "aten::_foreach_copy",
  "aten::_fused_moving_avg_obs_fq_helper",
  "aten::_fused_moving_avg_obs_fq_helper_functional",
  "aten::_logcumsumexp",
  "aten::_neg_view",
  "aten::_neg_view_copy",
  "aten::_new_zeros_with_same_feature_meta",
  "aten::_nnpack_spatial_convolution",
  "aten::_remove_batch_dim",
  "aten::_reshape_alias",
  "aten::_reshape_alias_copy",
  "aten::_stack",
  "aten::_transform_bias_rescale_qkv",
  "aten::_weight_norm",
  "aten::_weight_norm_interface",
  "aten::choose_qparams_optimized",
  "aten::copy",
  "aten::mkldnn_rnn_layer",
  "aten::quantized_gru_cell",
  "aten::quantized_lstm_cell",
  "aten::quantized_rnn_relu_cell",
  "aten::quantized_rnn_tanh_cell",
  "mkldnn::_reorder_mkldnn_rnn_layer_weight",
]);

const isUnsafe = (name: string): boolean => single.has(name) || families.some((family) => family.test(name));

/**
 * Calls any operator that libtorch registers, by its full name, also those without a typed function.
 *
 * ```ts
 * ops.call("aten::_softmax", x, 1, false)
 * ```
 *
 * @param name such as `"aten::add"`; the form is chosen by the arguments
 * @param args as for every function here: by position, then one object with further ones by their camelCase name
 * @throws ArgumentError where the operator does not exist, takes other arguments, or is one of those inner parts of libtorch
 * that end the process when they are called with arguments that nothing has checked
 */
export function callByName(name: string, ...args: unknown[]): unknown {
  if (isUnsafe(name)) {
    throw new ArgumentError(
      `${name} is an inner part of libtorch that checks none of its arguments; call the public operator that uses it`,
    );
  }
  return call(name, ...args);
}
