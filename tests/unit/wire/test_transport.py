"""TLS files that no caller could connect with are named before gRPC sees them."""

from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, TlsFiles, Worker
from orchestrix_raft.wire.transport import check_tls

CERTS = Path(__file__).parents[1] / "coordinator" / "certs"
CA, CERT, KEY, LOCKED = (
    str(CERTS / name) for name in ("ca.pem", "node.pem", "node-key.pem", "locked-key.pem")
)


@pytest.mark.parametrize(
    "files", [None, TlsFiles(), TlsFiles(CA), TlsFiles(CA, CERT, KEY), TlsFiles("", CERT, KEY)]
)
def test_files_that_belong_together_pass(files: TlsFiles | None) -> None:
    assert check_tls(files) is files


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (TlsFiles(CA, CERT), "go together"),
        (TlsFiles(CA, "", KEY), "go together"),
        (TlsFiles("no-such.pem"), "cannot read no-such.pem"),
        (TlsFiles(CA, "no-such.pem", KEY), "cannot read no-such.pem"),
        (TlsFiles(KEY), "holds no certificate"),
        (TlsFiles(CA, CERT, str(CERTS / "stranger-key.pem")), "mismatch"),
        (TlsFiles(CA, KEY, KEY), "no certificate and its key"),
        (TlsFiles(CA, CERT, LOCKED), "password"),
    ],
)
def test_files_that_cannot_work_are_refused_in_one_line(files: TlsFiles, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_tls(files)
    assert len(str(caught.value).splitlines()) == 1


async def test_the_sdks_refuse_them_when_they_are_made() -> None:
    for make in (AsyncClient, Worker):
        with pytest.raises(ValueError, match="go together"):
            make("127.0.0.1:1", tls=TlsFiles(CA, CERT))
