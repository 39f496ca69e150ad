"""Model definitions: mathematics only. The trainer fits them, the services load their artifacts.

Nothing in here imports a service, opens a socket or reads a setting.
"""
