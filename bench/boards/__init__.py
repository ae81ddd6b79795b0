"""What the bundled models may cost on boards that nobody has measured here."""
