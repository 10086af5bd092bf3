"""What is kept: the transcript and all that reads it back, the secrets out of it, the ledger."""
