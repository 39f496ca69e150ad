"""Where data comes from: public data sets, a synthetic catalog, and the lake they are written to."""
