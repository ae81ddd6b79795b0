"""Recordings, their labels, and what training makes of both. How publishers lay data sets out is in `layouts`."""
