"""Runs of the trainer: one at a time, told as they go, resumed where they were killed.

`learn` is a continuous run: from the champions and the newest examples to a challenger that passed the gate. `full` is
a run over the whole lake. The service starts them as processes of their own and tells whoever asks how far they are.
"""
