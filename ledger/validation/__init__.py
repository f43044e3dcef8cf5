"""From bytes to what can be executed: the stages that need no state, as pure functions."""
