"""Commands about what is sent to people."""
