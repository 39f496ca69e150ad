"""The rules of a slate, one per file: pure functions that say what they kept, what they removed and why."""
