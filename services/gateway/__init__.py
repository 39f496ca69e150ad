"""The gateway answers everything the outside world may ask, over REST. Browsers, apps and curl call it; it calls the
services behind it over gRPC. It owns the order of a request, its deadlines and fallbacks, the traces, and what is
produced to the event log.
"""
