"""OpenAI (chat, responses) and Anthropic dialects without I/O, and one transport that stamps every chunk.

Client and server side. Knows nothing of tasks or scores.
"""
