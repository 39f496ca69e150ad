"""Answers with text and sentence vectors from language models, its own engine's or others', in OpenAI's words.

Called by anybody with a key over REST, and by the gateway over gRPC.
Owns virtual keys, their budgets, cached answers, guardrails and the engine; no other service's data.
"""
