"""What runs a model: ONNX Runtime everywhere, TensorRT where there is an NVIDIA GPU, and the choice between them."""
