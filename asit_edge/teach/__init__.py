"""Sounds taught on the device: from a few takes to one more label, without torch and without training a network."""
