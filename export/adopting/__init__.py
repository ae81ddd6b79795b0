"""Models of others as bundles: declared, read, put into a bundle's shape, compared with the original."""
