"""The money of a world: who has how much, and every posting."""


class Bank:
    """Accounts of one world, in integer cents."""
