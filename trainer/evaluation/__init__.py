"""What a model is worth: scores as a device would have them, and every metric."""
