"""Whose the files of a data directory are: its owner's, also when root works on it while no node runs.

A node runs as a user of its own.  What root makes in that user's directory, root must give it, or the node
ends with `Permission denied` at every start.  For `storage` only.
"""

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = 0

_NOT_OURS: Final = "lost+found"


class Owner(NamedTuple):
    """Numbers of a user and a group."""

    uid: int
    gid: int


def owner_of(path: Path) -> Owner:
    """Of a directory; of one that is missing, that of the directory in which it will be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    found = path.stat()
    return Owner(found.st_uid, found.st_gid)


def hand_over(path: Path, owner: Owner) -> None:
    """Give `owner` the directory and what root has in it.  Does nothing for any other user than root.

    The owner may write there, and could put in the way what leads to files of others: so no link is followed,
    and no file that has another name is given away.
    """
    if os.geteuid() != ROOT or owner.uid == ROOT:
        return
    for folder, folders, files, descriptor in os.fwalk(path):
        if Path(folder) == path:
            os.chown(descriptor, *owner)
            if _NOT_OURS in folders:
                folders.remove(_NOT_OURS)
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            plain = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
            if found.st_uid == ROOT and plain:
                os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)
