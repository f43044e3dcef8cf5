"""One file a command: `add_parser(subparsers)` describes it, `run(arguments)` does it and returns the exit code."""
