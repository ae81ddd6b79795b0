"""Configurations that come while a device listens: what differs, what may come from afar, how it is tried."""
