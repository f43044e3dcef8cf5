"""Moving rows between departments' databases under grants: sealed by the provider's node, opened by the requester's.

`content` and `outputs` are what rows look like on the way and where they go; `databases` is the node's own database;
`outbox` and `store` keep what must outlive a crash; `provider` and `requester` are the two sides of a delivery, `wire`,
`server` and `client` how they talk; `ledger` is how both reach the ledger, and `receipts` what is left at the end.
"""
