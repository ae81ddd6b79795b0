"""Commands with which a device is looked after."""
