"""Networks, and the weights of others read into them."""
