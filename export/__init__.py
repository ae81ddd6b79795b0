"""The bridge from a checkpoint to what a device runs: ONNX, model bundle, TensorRT engine."""

import asit_edge as asit_edge  # first of all: it switches the telemetry of ONNX Runtime off
