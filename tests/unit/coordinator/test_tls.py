"""Bad TLS files are found at the start, in one line."""

import re
import shutil
from ipaddress import ip_address
from pathlib import Path

import pytest

from orchestrix_raft.coordinator.tls import (
    NO_HOSTS,
    Hosts,
    TlsError,
    TlsFiles,
    check_own,
    hosts_of,
    peer_tls,
    why_not_certified,
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


# ---- whom a certificate speaks for -----------------------------------------------------------------------

N1 = Hosts(("n1", "*.east.example"), (ip_address("10.0.0.1"), ip_address("2001:db8::1")))


def test_the_hosts_of_a_certificate_are_read_from_its_subject_alt_name() -> None:
    hosts = peer_tls(GOOD).own
    assert hosts == Hosts(("localhost", "n1", "n2"), (ip_address("127.0.0.1"),))
    found = {
        "subject": ((("commonName", "n9"),),),
        "subjectAltName": (("DNS", "N1"), ("IP Address", "2001:DB8:0:0:0:0:0:1\n"), ("email", "a@b")),
    }
    assert hosts_of(found) == Hosts(("n1",), (ip_address("2001:db8::1"),))
    assert hosts_of(None) == hosts_of({}) == NO_HOSTS


@pytest.mark.parametrize("host", ["n1", "10.0.0.1", "2001:db8::1", "a.east.example"])
def test_a_certificate_covers_its_names_and_addresses(host: str) -> None:
    assert N1.cover(host)


@pytest.mark.parametrize(
    "host",
    ["n2", "n1.example", "10.0.0.2", "2001:db8::2", "east.example", "a.b.east.example", ".east.example", ""],
)
def test_a_certificate_covers_nothing_else(host: str) -> None:
    assert not N1.cover(host)
    assert not NO_HOSTS.cover(host)


@pytest.mark.parametrize("name", ["10.0.0.1", "*.0.0.1"])
def test_a_name_that_looks_like_an_address_covers_no_address(name: str) -> None:
    assert not Hosts((name,)).cover("10.0.0.1")


@pytest.mark.parametrize("address", ["n1:7400", "N1:7401", "10.0.0.1:7400", "[2001:DB8:0::1]:7400"])
def test_a_node_may_be_known_by_name_or_by_address(address: str) -> None:
    assert why_not_certified(N1, "n1", address, "") == ""
    assert why_not_certified(N1, "n1", address, "n1:7400") == ""


@pytest.mark.parametrize(
    ("claimed", "known", "words"),
    [
        ("n2:7400", "", "says it is at n2:7400, but its certificate is for n1, .* and not for n2"),
        ("10.0.0.2:7400", "", "not for 10.0.0.2"),
        ("n1:7400", "n2:7400", "known at n2:7400 and says it is at n1:7400 now"),
        ("n1", "", "from nowhere"),
        ("n1:7400", "n2", "from nowhere"),
    ],
)
def test_why_a_certificate_does_not_fit_is_one_line(claimed: str, known: str, words: str) -> None:
    line = why_not_certified(N1, "x", claimed, known)
    assert re.search(words, line)
    assert "\n" not in line


def test_a_certificate_cannot_write_into_the_log_what_it_likes() -> None:
    many = Hosts(tuple(f"a{number}\n" for number in range(100)))
    line = why_not_certified(many, "x", "n1:7400", "")
    assert "\n" not in line
    assert "a4\\n and 95 more and not for n1" in line


def test_a_certificate_that_is_not_for_the_nodes_own_address_is_said_at_the_start() -> None:
    tls = peer_tls(GOOD)
    check_own(tls, GOOD, "n1:7400")
    check_own(tls, GOOD, "127.0.0.1:7400")
    with pytest.raises(TlsError, match=r"node\.pem is for localhost, n1, n2, 127\.0\.0\.1 and not for n3"):
        check_own(tls, GOOD, "n3:7400")
