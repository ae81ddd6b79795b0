"""The lab: pre-training, fine-tuning, distillation and evaluation of ASiT models, in plain PyTorch."""

import asit_edge as asit_edge  # first of all: it switches the telemetry of ONNX Runtime off
