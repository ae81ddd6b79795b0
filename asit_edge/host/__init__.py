"""What differs between machines: service manager, allocator, folders, files."""
