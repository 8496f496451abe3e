"""The frozen nouns that reach disk: one file each, content-hashed, format-versioned.

They do nothing: no clock, disk, network. Everybody may import them; import from the submodules
(`steelyard.schema.task`), which name the noun.
"""
