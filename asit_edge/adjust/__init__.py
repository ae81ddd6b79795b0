"""What was adjusted while the device ran: thresholds, labels and sources that are switched off or snoozed."""
