"""Guards in the code, one by one: what takes each out, and what then goes wrong."""
