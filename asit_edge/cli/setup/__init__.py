"""Commands that set a device up: its configuration, and its service."""
