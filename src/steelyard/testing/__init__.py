"""Real scripted twins of everything that plugs in, for our tests and for plug-in authors.

Ships with the package; nothing in the package imports it.
"""
