"""The loop: ask a model, act, hear what came of it, delegate to a copy."""
