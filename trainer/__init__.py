"""The lab: pre-training, fine-tuning, distillation and evaluation of ASiT models, in plain PyTorch."""
