"""Load and measurement: what drives the running stack from outside."""
