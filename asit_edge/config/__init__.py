"""The device's configuration: every key with its type, default and meaning, and the file that it comes from."""
