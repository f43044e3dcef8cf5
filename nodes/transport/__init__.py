"""How members speak to each other: length-prefixed frames over mutual TLS 1.3, one connection a pair.

`framing` and `channel` are protocols without I/O, `tls` holds identities and contexts, `budgets` the bounds, `link` one
connection, and `peers` the network a node talks through.
"""
