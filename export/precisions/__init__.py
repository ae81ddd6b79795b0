"""A model in other precisions: how fp16 and int8 are made, how smaller files are, and what each may lose."""
