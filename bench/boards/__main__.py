"""python -m bench.boards"""

from bench.boards.estimate import table

if __name__ == "__main__":
    print("\n".join(table()))
