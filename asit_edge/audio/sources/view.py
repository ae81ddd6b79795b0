"""A file as somebody else is to see it: with a length and bytes of its own."""

import io


class View(io.RawIOBase):
    """What can be sought in; `readinto` is up to those who derive from it, and moves `at`."""

    def __init__(self, length: int) -> None:
        """`length` in bytes."""
        self.length = length
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.length}[whence]
        self.at = max(base + offset, 0)
        return self.at
