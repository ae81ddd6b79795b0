"""`asit-edge set`: what can be adjusted while the device listens."""
