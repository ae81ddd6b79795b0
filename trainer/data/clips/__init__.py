"""Labelled clips to learn from: which are usable, their labels, and batches of them by number."""
