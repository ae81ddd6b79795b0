"""ASiT Edge as a service of systemd: what is written, what is run, and what goes again."""
