"""Whatever scores sound for a student to learn from."""
