"""Which layout a path is in, where a command takes any."""

from pathlib import Path

from trainer.data.dataset import Dataset
from trainer.data.layouts import folder
from trainer.data.layouts.esc50 import esc50_table, read_esc50


def read_any(path: Path) -> Dataset:
    """ESC-50's layout, or one's own folder or table. Raises WrongUse that says what would be right."""
    return read_esc50(path) if esc50_table(path) else folder.read(path)
