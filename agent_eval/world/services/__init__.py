"""What a world has to offer, each behind names of its own."""
