"""A run that was: go on with it, do it again, branch from it."""
