"""All that touches the outside world: processes, disks, sockets, keys at rest, the gateway and the command line."""
