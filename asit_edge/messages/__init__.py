"""The public payloads, and nothing else: what events, states, levels and gaps look like to the world."""
