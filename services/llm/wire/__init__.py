"""OpenAI's REST surface: what comes in, what goes out, and nothing about how it is answered."""
