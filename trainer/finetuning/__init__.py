"""Fine-tuning on labelled recordings: recipes, the loop, checkpoints."""
