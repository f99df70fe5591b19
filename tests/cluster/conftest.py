"""What the tests on real processes share: clusters that are certainly gone afterwards."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from orchestrix_raft.testing import LocalCluster


@pytest.fixture(scope="session", autouse=True)
def _leave_in_order_when_terminated() -> Iterator[None]:
    """SIGTERM ends pytest like Ctrl-C does: through the context managers that end the processes."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children() -> None:
    """A shell that runs the tests in its background ignores SIGINT for them, and for their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """These tests start more than a hundred Pythons: they share compiled modules, also where the environment
    or a read-only tree keeps Python from writing any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("pycache")))
        yield


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three nodes for all tests of a module, none of which may hurt them."""
    with LocalCluster(nodes=3, data_dir=tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
        cluster.kill_everything()  # saves the time of an orderly end, which test_test_kit.py looks at


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes for one test that kills some."""
    with LocalCluster(nodes=3, data_dir=tmp_path / "cluster") as cluster:
        yield cluster
        cluster.kill_everything()
