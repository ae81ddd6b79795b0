"""How one source is kept alive and accounted for: its supervisor, in parts, most of them pure."""
