"""The loop that takes the audio of all sources the whole way, live or from a recording, and reports what it finds."""
