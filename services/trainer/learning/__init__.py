"""Rankers learn from what people did with what they were shown: from the champion on, corrected for the place."""
