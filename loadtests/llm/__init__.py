"""Benches of the language models' gateway and engine; each starts what it measures and needs no running stack."""
