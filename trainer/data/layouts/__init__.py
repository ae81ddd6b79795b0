"""Data sets as their publishers ship them: one module a layout, each with a `read` that gives a `Dataset`."""
