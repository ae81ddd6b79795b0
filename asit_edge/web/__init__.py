"""The page: what is heard now and was heard before, for whoever may look. Loaded only where it is wanted."""
