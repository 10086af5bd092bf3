"""The world of a run: what its sandboxes see as the internet, all of it served from here."""
