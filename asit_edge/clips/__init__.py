"""Recordings of events: what was heard from shortly before a sound to shortly after it, in whole files."""
