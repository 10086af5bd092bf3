"""Rubric graders: a model that is not under test sorts what a run said and did into classes."""
