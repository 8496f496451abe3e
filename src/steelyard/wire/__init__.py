"""OpenAI (chat, responses) and Anthropic dialects without I/O, and one transport that stamps every chunk.

Client and server side. Knows nothing of tasks or scores. Does not retry, follow redirects or read proxies from the
environment. For `contestants`, `scorers` and the engines above. `client.Client` moves bytes, `serve.Server`
answers, `faults.TABLE` says what went wrong and who is to blame.
"""
