"""What is lost when things go wrong: a real listener and a real broker under one fault after the other, counted."""
