class EventFailure(Exception):
    """An event that cannot be folded; its argument is the reason of the failed event (1.5)."""
