"""What people are told of a model: its labels, and what is in its bundle."""
