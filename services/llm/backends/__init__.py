"""Where text comes from, by URL: servers that speak OpenAI's API, the engine of this process, and a template."""
