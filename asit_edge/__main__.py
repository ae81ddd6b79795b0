"""`python -m asit_edge` is `asit-edge`."""

from asit_edge.cli.app import main

if __name__ == "__main__":
    main()
