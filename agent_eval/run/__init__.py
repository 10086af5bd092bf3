"""One run end to end: what it is made of, its sandboxes, its copies, its outcome."""
