"""From recordings and teachers to a student."""
