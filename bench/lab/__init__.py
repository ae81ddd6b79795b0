"""What is measured of training, and of what it makes."""
