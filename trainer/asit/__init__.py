"""The method: ASiT self-supervised pre-training (arXiv 2211.13189)."""
