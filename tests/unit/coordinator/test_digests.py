"""Digests at fixed indexes tell whether replicas still agree."""

from orchestrix_raft.coordinator.digests import DIGEST_STRIDE, DigestTrail


def test_only_multiples_of_the_stride_are_kept_and_not_too_many() -> None:
    trail = DigestTrail()
    assert trail.newest() == (0, b"")
    for index in range(1, 5_000 * DIGEST_STRIDE, DIGEST_STRIDE // 2):
        trail.note(index - index % (DIGEST_STRIDE // 2), b"%d" % index)
    assert trail.newest()[0] % DIGEST_STRIDE == 0
    assert len(trail._at) == 4_096


def test_another_digest_at_the_same_index_is_reported_with_the_first_such_index() -> None:
    trail = DigestTrail()
    trail.note(DIGEST_STRIDE, b"a")
    trail.note(2 * DIGEST_STRIDE, b"b")
    trail.compare("n2", DIGEST_STRIDE, b"a")
    trail.compare("n3", 3 * DIGEST_STRIDE, b"not known here")
    trail.compare("n3", 0, b"")
    assert trail.divergent == {}
    trail.compare("n2", DIGEST_STRIDE, b"x")
    trail.compare("n2", 2 * DIGEST_STRIDE, b"x")
    assert trail.divergent == {"n2": DIGEST_STRIDE}


def test_a_replaced_state_compares_only_what_it_has_seen_itself() -> None:
    trail = DigestTrail()
    trail.note(DIGEST_STRIDE, b"a")
    trail.clear()
    trail.compare("n2", DIGEST_STRIDE, b"x")
    assert trail.divergent == {}
    assert trail.newest() == (0, b"")


def test_how_a_node_differed_is_forgotten_when_it_leaves() -> None:
    trail = DigestTrail()
    trail.note(DIGEST_STRIDE, b"a")
    for node_id in ("n2", "n3"):
        trail.compare(node_id, DIGEST_STRIDE, b"x")
    trail.keep({"n1", "n3"})
    assert trail.divergent == {"n3": DIGEST_STRIDE}
