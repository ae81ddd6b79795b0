"""How a stopped run goes on to what it would have been: seeds by step, unchanged settings, kept checkpoints."""
