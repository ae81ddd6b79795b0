"""Commands about recordings of events."""
