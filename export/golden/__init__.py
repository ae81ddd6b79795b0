"""Golden inputs on which labels answer: real and made sounds, varied until as many labels as possible are active."""

TRIES = 10_000
"""Sounds that are tried unless more or fewer are asked for."""
