"""Thresholds fitted to a place: counted, chosen, kept, and given to whoever loads a bundle."""
