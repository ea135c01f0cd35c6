"""The one door to what a plant has: the store's records as they come, and what is asked of them, over both engines."""
