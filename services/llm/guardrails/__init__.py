"""What goes to a model and what comes from it: personal data is redacted, injection screened for, length bounded.

Rules are pure, one per file; `inbound` and `outbound` apply them. What they found is told by kind and count, never by
the text itself.
"""
