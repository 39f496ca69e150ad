"""The whole stack on one machine without containers: `python -m services`.

Starts Redis, Kafka's listener and one process per service, restarts what dies, and stops everything. Circus manages the
processes; the files here say which there are (layout), when one is ready (readiness) and what happens around their
deaths (manager). `stack` is the face for programs: a demo, a bench or a test starts the stack through it.
"""
