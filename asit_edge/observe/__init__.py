"""Who looks on while a device listens, without being in the way."""
