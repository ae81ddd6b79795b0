"""What is said over MQTT, to whom and under which name; one connection to a broker."""
