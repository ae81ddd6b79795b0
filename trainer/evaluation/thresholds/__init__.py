"""Thresholds of checkpoints: from labelled clips, and from hours in which nothing should alarm."""
