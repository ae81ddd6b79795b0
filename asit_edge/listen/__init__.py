"""How sources are kept alive and accounted for, and the loop that takes audio the whole way."""
