"""Rollouts: a release of new model versions earns its users step by step, or is taken back.

`release.py`: how a run hands its versions over; `machine.py`: what comes next; `guardrails.py`: what is wrong.
"""
