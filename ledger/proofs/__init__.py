"""Proofs: what leaves the network, and what anybody can check of it offline against a policy."""
