"""All that leaves the device, and the commands that come in."""
