"""Graders: what happened in a run, as findings that cite its transcript line by line."""
