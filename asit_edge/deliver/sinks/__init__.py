"""Where events go once they are stored. A sink may fail or be away; it never delays the listening, nor another sink."""
