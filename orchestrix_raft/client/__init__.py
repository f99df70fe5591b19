"""The client SDK: enqueue jobs and look after them.  Knows the wire, nothing of the server's packages."""
