"""One look at the device each."""
