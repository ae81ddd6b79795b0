"""Where audio comes from: one module a kind of source."""
