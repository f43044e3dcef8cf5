"""What is written: records in envelopes, envelopes in blocks, blocks in the log, and the checkpoints over the log."""
