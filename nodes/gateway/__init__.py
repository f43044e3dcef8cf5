"""The gateway: the HTTP interface of one department's node. It asks and submits; it decides nothing."""
