"""Lessons: takes in, overlays out; what the commands do and a listener does not."""
