"""Moving rows between departments' databases under grants: sealed by the provider's node, opened by the requester's.

    control ──► requester ──► client ═══ wire ═══ server ──► provider ──► preparation ──► databases
                    │                                            │
             reception, outputs                            chunk_files, subjects

Both sides keep what must outlive a crash in `store` and `chunk_files`, and reach the ledger through `ledger` alone,
which `node_ledger` gives over the node in this process. `accepting` hands `server` and `control` their connections, and
`service` puts all of it together. Rows as bytes are `ledger.content`, sealed streams `ledger.crypto.sealing`, receipts
`ledger.proofs.delivery`.
"""
