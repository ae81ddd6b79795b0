"""Distilled students: their configuration, their checkpoints, and how the rest of the lab uses them."""
