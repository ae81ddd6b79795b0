"""Events on disk, and what is still to be delivered."""
