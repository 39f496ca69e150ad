"""Protocol P2: will this user like it? Every rating is an event at its time.

The log is split by time, 80/10/10: fit, early stopping and calibration, test. Features are strictly from earlier
seconds: events of one second never see each other. `run.py` is where to begin reading.
"""
