"""The closed loop under a microscope: users of known taste ask the real stack, round after round, while it learns."""
