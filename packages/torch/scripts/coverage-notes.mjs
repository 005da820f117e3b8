// What the coverage table says of names of PyTorch that levin does not have by their camelCase name.

/** Ours under another name: a path in `@levin/torch`, in `Tensor`, a type or, for what the language has, in JavaScript. */
export const elsewhere = {
  "torch.autocast_decrement_nesting": "amp.setAutocast",
  "torch.autocast_increment_nesting": "amp.setAutocast",
  "torch.compiled_with_cxx11_abi": "buildInfo",
  "torch.dsmm": "sparse.mm",
  "torch.from_numpy": "fromTypedArray",
  "torch.get_autocast_cpu_dtype": 'getAutocastDtype("cpu")',
  "torch.get_autocast_gpu_dtype": 'getAutocastDtype("cuda")',
  "torch.get_autocast_ipu_dtype": 'getAutocastDtype("ipu")',
  "torch.get_autocast_xla_dtype": 'getAutocastDtype("xla")',
  "torch.hsmm": "hspmm",
  "torch.is_autocast_cpu_enabled": 'isAutocastEnabled("cpu")',
  "torch.is_autocast_ipu_enabled": 'isAutocastEnabled("ipu")',
  "torch.is_autocast_xla_enabled": 'isAutocastEnabled("xla")',
  "torch.saddmm": "sparse.addmm",
  "torch.set_autocast_cpu_dtype": 'setAutocastDtype("cpu", dtype)',
  "torch.set_autocast_cpu_enabled": 'setAutocastEnabled("cpu", enabled)',
  "torch.set_autocast_gpu_dtype": 'setAutocastDtype("cuda", dtype)',
  "torch.set_autocast_ipu_dtype": 'setAutocastDtype("ipu", dtype)',
  "torch.set_autocast_ipu_enabled": 'setAutocastEnabled("ipu", enabled)',
  "torch.set_autocast_xla_dtype": 'setAutocastDtype("xla", dtype)',
  "torch.set_autocast_xla_enabled": 'setAutocastEnabled("xla", enabled)',
  "torch.set_default_tensor_type": "setDefaultDtype",
  "torch.spmm": "sparse.mm",
  "torch.random.thread_safe_generator": "defaultGenerator",
  "torch.thread_safe_generator": "defaultGenerator",
  // Numbers of Python's tracer; where nothing is traced, a number is a number.
  "torch.sym_float": "JavaScript's Number",
  "torch.sym_int": "JavaScript's Math.trunc",
  "torch.sym_ite": "cond",
  "torch.sym_max": "JavaScript's Math.max",
  "torch.sym_min": "JavaScript's Math.min",
  "torch.sym_not": "JavaScript's Boolean",
  "torch.sym_sqrt": "JavaScript's Math.sqrt",
  "torch.sym_sum": "JavaScript's Array.prototype.reduce",

  "torch.Tensor.is_shared": "share",
  "torch.Tensor.new": "Tensor.newEmpty",
  "torch.Tensor.numpy": "Tensor.asTypedArray",
  "torch.Tensor.resize": "Tensor.reshape",
  "torch.Tensor.resize_as": "Tensor.reshapeAs",
  "torch.Tensor.share_memory_": "share",
  "torch.Tensor.storage": "Tensor.storageBytes",
  "torch.Tensor.storage_type": "Tensor.dtype",
  "torch.Tensor.tolist": "Tensor.toArray",
  "torch.Tensor.untyped_storage": "Tensor.storageBytes",

  "torch.autograd.forward_ad.UnpackedDualTensor": "autograd.forwardAd.unpackDual",
  "torch.nn.Container": "nn.Module",
  "torch.utils.data.Dataset": "the type data.Dataset",
  "torch.utils.data.IterableDataset": "the type data.IterableDataset",
  "torch.utils.data.Sampler": "the type data.Sampler",
  "torch.nn.LinearCrossEntropyOptions": "nn.functional.linearCrossEntropy",
  "torch.nn.init.constant": "nn.init.constant_",
  "torch.nn.init.dirac": "nn.init.dirac_",
  "torch.nn.init.eye": "nn.init.eye_",
  "torch.nn.init.kaiming_normal": "nn.init.kaimingNormal_",
  "torch.nn.init.kaiming_uniform": "nn.init.kaimingUniform_",
  "torch.nn.init.normal": "nn.init.normal_",
  "torch.nn.init.orthogonal": "nn.init.orthogonal_",
  "torch.nn.init.sparse": "nn.init.sparse_",
  "torch.nn.init.uniform": "nn.init.uniform_",
  "torch.nn.init.xavier_normal": "nn.init.xavierNormal_",
  "torch.nn.init.xavier_uniform": "nn.init.xavierUniform_",
  "torch.nn.utils.clip_grad_norm": "nn.utils.clipGradNorm_",
};

/** Names that PyTorch keeps only to say that the function was removed (or, `volatile`, to do nothing). */
export const removed = {
  "torch.cholesky": "linalg.cholesky",
  "torch.eig": "linalg.eig",
  "torch.lstsq": "linalg.lstsq",
  "torch.matrix_rank": "linalg.matrixRank",
  "torch.qr": "linalg.qr",
  "torch.solve": "linalg.solve",
  "torch.symeig": "linalg.eigh",
  "torch.Tensor.cholesky": "linalg.cholesky",
  "torch.Tensor.eig": "linalg.eig",
  "torch.Tensor.lstsq": "linalg.lstsq",
  "torch.Tensor.qr": "linalg.qr",
  "torch.Tensor.reinforce": "multinomial",
  "torch.Tensor.solve": "linalg.solve",
  "torch.Tensor.symeig": "linalg.eigh",
  "torch.Tensor.volatile": "noGrad",
};

/** Why something is left out, by the reason. */
const reasons = {
  "traces Python code": `
    torch.compile torch.sym_fresh_size
    torch.sym_constrain_range torch.sym_constrain_range_for_size`,
  "part of TorchScript, which PyTorch has deprecated": `
    torch.fork torch.wait torch.import_ir_module torch.import_ir_module_from_buffer torch.merge_type_from_type_comment
    torch.parse_ir torch.parse_schema torch.parse_type_comment torch.unify_type_list torch.quantized_gru torch.quantized_lstm
    torch.nn.functional.assert_int_or_pair`,
  "checks none of its arguments and can end the process": `
    torch.mkldnn_rnn_layer torch.quantized_gru_cell torch.quantized_lstm_cell torch.quantized_rnn_relu_cell
    torch.quantized_rnn_tanh_cell`,
  "exchanges memory between Python's array libraries": "torch.from_dlpack torch.to_dlpack",
  "there is no storage object: memory is reached through the tensors over it (viewStorage, storageBytes)":
    "torch.is_storage",
  "for data workers that are threads of one Python process":
    "torch.thread_safe_generator torch.random.thread_safe_generator",
  "makes a tensor an instance of a Python class": "torch.Tensor.as_subclass torch.Tensor.module_load",
  "always None in Python": "torch.Tensor.name",
  "streams are not exposed": "torch.Tensor.record_stream",
  "a subclass of Tensor with kernels for a few accelerators": `
    torch.sparse.SparseSemiStructuredTensor torch.sparse.SparseSemiStructuredTensorCUSPARSELT
    torch.sparse.SparseSemiStructuredTensorCUTLASS torch.sparse.to_sparse_semi_structured`,
  "for PyTorch's own tests": "torch.sparse.as_sparse_gradcheck",
  "sparse tensors are always checked when they are made": "torch.sparse.check_sparse_tensor_invariants",
  "deprecated since tensors have gradients of their own": `
    torch.autograd.NestedIOFunction torch.autograd.Variable torch.autograd.variable`,
  "a hook into the engine's inner workings": `
    torch.autograd.enforce_grad_layout_policy torch.autograd.graph.GradientEdge torch.autograd.graph.Node
    torch.autograd.graph.allow_mutation_on_saved_tensors
    torch.autograd.graph.get_gradient_edge torch.autograd.graph.node_creation_hook torch.autograd.graph.queue_callback
    torch.autograd.graph.region_activation_memory_budget torch.autograd.graph.register_multi_grad_hook
    torch.autograd.graph.set_override_stale_capture_stream
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch torch.func.debug_unwrap`,
  "for compilers that take programs without changes in place": "torch.func.functionalize",
  "a notation of its own over permute and reshape": "torch.func.rearrange",
  "of the reentrant way, which is not there, or a part of checkpoint that it does by itself": `
    torch.utils.checkpoint.CheckpointFunction torch.utils.checkpoint.DefaultDeviceType torch.utils.checkpoint.GraphExecGroup
    torch.utils.checkpoint.check_backward_validity torch.utils.checkpoint.detach_variable
    torch.utils.checkpoint.get_device_states torch.utils.checkpoint.noop_context_fn
    torch.utils.checkpoint.set_checkpoint_debug_enabled torch.utils.checkpoint.set_device_states`,
  "choosing what is kept operator by operator needs Python's dispatch modes": `
    torch.utils.checkpoint.CheckpointPolicy torch.utils.checkpoint.SelectiveCheckpointContext
    torch.utils.checkpoint.create_selective_checkpoint_contexts`,
  "data pipes, which PyTorch has deprecated": `
    torch.utils.data.DFIterDataPipe torch.utils.data.DataChunk torch.utils.data.IterDataPipe torch.utils.data.MapDataPipe
    torch.utils.data.argument_validation torch.utils.data.functional_datapipe
    torch.utils.data.guaranteed_datapipes_determinism torch.utils.data.non_deterministic
    torch.utils.data.runtime_validation torch.utils.data.runtime_validation_disabled`,
};

/** Why a name is left out. */
export const leftOut = Object.fromEntries(
  Object.entries(reasons).flatMap(([reason, names]) =>
    names
      .trim()
      .split(/\s+/)
      .map((name) => [name, reason]),
  ),
);
