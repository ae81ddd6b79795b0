"""How a listener is doing, in numbers: Prometheus' text format, and one verdict."""
