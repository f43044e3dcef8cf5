"""Sharing in the city: who asks whom for what, how it is answered, and the made-up data that are delivered.

`desk` writes the records of each half-day, by the `habits` of departments and the `mishaps` of a long run; `deliveries`
seals rows as a node does and checks them as the requester does; `rows` makes the data up.
"""
