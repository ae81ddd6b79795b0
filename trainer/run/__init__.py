"""What every training run needs, whatever it trains: steps, schedules, checkpoints, the journal, the command line."""
