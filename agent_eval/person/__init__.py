"""A person's part in a run: deciding about actions, pausing and ending it."""
