"""Real servers for tests: started on a free port of this machine, and gone when the tests end."""
