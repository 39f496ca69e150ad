"""What every service needs and none is about: settings, server, client, errors, ids, logs, metrics, registry, log."""
