"""A sentence for each recommended item: made of facts, phrased by a model where one answers, checked, else by rule."""
