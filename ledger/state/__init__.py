"""The state: what the registers hold after each block, and the transition from one block to the next."""
