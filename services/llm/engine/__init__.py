"""A language model engine one can read: paged KV cache, prefix cache, continuous batching, speculative decoding.

Reading order: sequence, block_manager, scheduler, model, model_runner, sampler, engine, worker.
"""
