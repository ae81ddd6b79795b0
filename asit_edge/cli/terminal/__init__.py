"""What people see of the listening in a terminal: events as lines, and a live meter under them."""
