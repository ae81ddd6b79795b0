"""The processes of one run: what they do together, and what they must have alike."""
