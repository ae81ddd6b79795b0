"""Audio before anybody listens to it: the ring, the clock it is counted by, its level. Sources are in `sources`."""
