"""The model bundle, the front end, and what every kind of model offers a stream. What runs one is in `backends`."""
