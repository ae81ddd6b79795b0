"""MQTT: topics, discovery, commands, one connection to a broker, and a client for consumers."""
