"""What a device needs before it listens: a configuration that is right, with a source and a broker that answer."""
