"""What our funnel is worth: fitted anew for every seed beside its peers, judged by P1 and P2, told in a report.

Results stay in a folder, one file per fit: a killed evaluation goes on where it was, and the report is made from them.
`evaluate.py` is where to begin reading. Nothing is imported here: worker processes take one light file of this folder.
"""
