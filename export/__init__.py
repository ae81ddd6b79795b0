"""The bridge from a checkpoint to what a device runs: ONNX, model bundle, TensorRT engine."""
