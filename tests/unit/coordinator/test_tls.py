"""Bad TLS files are found at the start, in one line."""

import shutil
from pathlib import Path

import pytest

from orchestrix_raft.coordinator.tls import (
    TlsError,
    TlsFiles,
    peer_tls,
)

CERTS = Path(__file__).parent / "certs"
GOOD = TlsFiles(CERTS / "node.pem", CERTS / "node-key.pem", CERTS / "ca.pem")


def fault(files: TlsFiles) -> str:
    with pytest.raises(TlsError) as caught:
        peer_tls(files)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_good_files_give_contexts_that_demand_certificates_on_both_sides() -> None:
    tls = peer_tls(GOOD)
    assert tls.dialling.verify_mode == tls.accepting.verify_mode
    assert tls.accepting.verify_mode.name == "CERT_REQUIRED"
    assert tls.dialling.check_hostname


@pytest.mark.parametrize("field", TlsFiles._fields)
def test_a_missing_file_is_named(field: str) -> None:
    line = fault(GOOD._replace(**{field: CERTS / "missing.pem"}))
    assert "missing.pem" in line
    assert "No such file" in line


def test_a_directory_in_place_of_a_file_is_named() -> None:
    assert "directory" in fault(GOOD._replace(ca=CERTS)).lower()


def test_a_key_of_another_certificate_is_named() -> None:
    assert "is not the key of the certificate" in fault(GOOD._replace(key=CERTS / "stranger-key.pem"))


@pytest.mark.parametrize(
    ("field", "words"),
    [("cert", "no certificate"), ("key", "no usable private key"), ("ca", "no certificate")],
)
def test_a_file_without_pem_is_named(tmp_path: Path, field: str, words: str) -> None:
    empty = tmp_path / "notes.txt"
    empty.write_text("this is no PEM\n")
    line = fault(GOOD._replace(**{field: empty}))
    assert "notes.txt" in line
    assert words in line


def test_a_swapped_certificate_and_key_are_found() -> None:
    assert "node-key.pem holds no certificate" in fault(TlsFiles(GOOD.key, GOOD.cert, GOOD.ca))


def test_a_key_under_a_password_is_refused_instead_of_asking_at_the_terminal() -> None:
    assert "password" in fault(GOOD._replace(key=CERTS / "locked-key.pem"))


@pytest.mark.parametrize(
    ("cert", "key", "word"),
    [
        ("stranger.pem", "stranger-key.pem", "issuer"),
        ("expired.pem", "node-key.pem", "expired"),
        ("server-only.pem", "server-only-key.pem", "purpose"),
    ],
)
def test_a_certificate_that_peers_would_refuse_is_refused_here(cert: str, key: str, word: str) -> None:
    line = fault(TlsFiles(CERTS / cert, CERTS / key, GOOD.ca))
    assert cert in line
    assert word in line


def test_a_chain_with_text_around_it_is_fine(tmp_path: Path) -> None:
    chained = tmp_path / "chain.pem"
    with chained.open("wb") as out:
        out.write(b"a comment\n")
        for part in (GOOD.cert, GOOD.ca):
            with part.open("rb") as source:
                shutil.copyfileobj(source, out)
    peer_tls(GOOD._replace(cert=chained))
