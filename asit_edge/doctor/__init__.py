"""What is wrong with a device, what it means, and what to type."""
