"""What taught sounds are worth (`python -m bench.teach`) and what they cost (`python -m bench.teach.cost`)."""
