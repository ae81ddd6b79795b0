"""Negatives for teaching on a device: `python -m export.negatives`."""
