"""What really happened, worked out from ledgers, gateway and kernel and never from what is said."""
