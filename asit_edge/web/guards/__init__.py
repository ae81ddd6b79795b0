"""Who gets through to the page: names, tokens, origins, rates, and connections that do not come to the point."""
