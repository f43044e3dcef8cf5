"""Stories told on the ledger: a virtual cluster that replays from one seed, and the departments of Beijing."""
