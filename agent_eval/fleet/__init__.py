"""Many runs on one machine, under limits that they share."""
