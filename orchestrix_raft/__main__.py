"""`python -m orchestrix_raft` is the program `orchestrix-raft`."""

from orchestrix_raft.cli.app import main

if __name__ == "__main__":
    main()
