"""From samples to changes of events: pure, the same for a microphone now and a recording later."""
