"""The ledger itself: values and rules, without a clock, a socket, a file, a thread or randomness."""
