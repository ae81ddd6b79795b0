"""What a model is worth on sounds of collections that nothing here has learnt from."""
