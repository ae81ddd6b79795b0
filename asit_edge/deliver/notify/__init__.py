"""Sinks that people read: which events are worth a notification, what it says, and the services that bring it."""
