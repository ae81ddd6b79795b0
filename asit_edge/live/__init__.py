"""What is going on at this moment, for whoever looks: bounded, from memory, and at no cost where nobody does."""
