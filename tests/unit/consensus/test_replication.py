"""What a leader sends and when: at once, bounded, again after a loss, and nothing when idle."""

from orchestrix_raft.consensus.messages import AppendAnswer, AppendEntries
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import Accepted, Refused
from tests.simulation.raft.scripted import TEST_OPTIONS, Scripted, cluster_of, commands


def test_a_proposal_leaves_in_the_same_tick_and_is_applied_everywhere_within_two_round_trips() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    for other in ("n2", "n3"):
        cluster.deliver("n1", other)
        cluster.tick(other)
        cluster.deliver(other, "n1")
    cluster.tick("n1")
    assert cluster.data("n1") == [b"a"]
    for other in ("n2", "n3"):
        cluster.deliver("n1", other)
        cluster.tick(other)
        assert cluster.data(other) == [b"a"]


def test_a_large_entry_travels_whole() -> None:
    cluster = cluster_of(3)
    data = bytes(8 * 1024 * 1024)
    cluster.propose("n1", data)
    cluster.tick("n1")
    [message] = [m for m in cluster.waiting("n1", "n2") if isinstance(m, AppendEntries)]
    assert [len(entry.data) for entry in message.entries] == [len(data) + 1]
    cluster.settle()
    assert cluster.data("n2") == [data]
    assert isinstance(cluster["n1"].propose(bytes(9 * 1024 * 1024)), Refused)


def test_what_is_under_way_to_one_peer_is_bounded() -> None:
    options = Options(append_bytes=1_000, in_flight_bytes=5_000)
    cluster = Scripted(3, options=options)
    cluster.start()
    for _ in range(100):
        cluster.propose("n1", bytes(400))
    cluster.tick("n1")
    sent = [m for m in cluster.waiting("n1", "n2") if isinstance(m, AppendEntries)]
    assert all(sum(len(e.data) for e in m.entries) <= 1_000 for m in sent)
    assert 4_000 <= sum(len(e.data) for m in sent for e in m.entries) <= 6_000
    cluster.settle()
    assert len(cluster.data("n3")) == 100


def test_a_new_connection_sends_again_from_what_was_acknowledged() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", b"a")
    cluster.tick("n1")
    cluster.drop_all()
    cluster.connect("n1", "n2")  # replaces the old connection; nobody saw it break
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    assert cluster["n2"].last_index == cluster["n1"].last_index


def test_lost_messages_are_noticed_by_the_next_heartbeat() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 5))
    cluster.tick("n1")
    cluster.drop_all()
    cluster.run(0.3)
    assert cluster.data("n2") == cluster.data("n3") == commands(0, 5)


def test_a_window_full_of_lost_messages_is_sent_again() -> None:
    cluster = Scripted(3, options=Options(append_bytes=1_000, in_flight_bytes=5_000))
    cluster.start()
    for _ in range(100):
        cluster.propose("n1", bytes(400))
    cluster.tick("n1")
    cluster.drop_all()
    cluster.run(0.3)
    assert len(cluster.data("n2")) == len(cluster.data("n3")) == 100


def test_what_a_peer_is_known_to_hold_is_not_taken_back_by_a_late_answer() -> None:
    cluster = cluster_of(3)
    cluster.propose("n1", *commands(0, 5))
    cluster.settle()
    engine = cluster["n1"]
    held = engine.progress()[0]
    assert held.match_index == engine.last_index
    engine.receive(held.node_id, AppendAnswer(engine.term, 1, True, 3, engine.last_index))
    assert engine.progress()[0].match_index == engine.last_index


def test_a_peer_on_another_disk_is_sent_nothing() -> None:
    cluster = cluster_of(3)
    cluster.drop_all()
    cluster["n1"].disconnected("n3")
    cluster["n1"].connected("n3", "another disk")
    cluster.propose("n1", b"a")
    cluster.tick("n1", 0.2)
    assert cluster.waiting("n1", "n2")
    assert cluster.waiting("n1", "n3") == []


def test_an_idle_cluster_only_sends_heartbeats() -> None:
    cluster = cluster_of(3)
    sent = 0
    for _ in range(100):
        cluster.now += 0.01
        for i in cluster.nodes:
            cluster.tick(i)
        sent += sum(len(queue) for queue in cluster.links.values())
        for a, b in list(cluster.links):
            cluster.deliver(a, b)
    assert sent <= 2 * 2 * 11  # two followers, an answer each, ten a second


def test_a_node_wants_to_be_woken_when_something_is_due() -> None:
    cluster = cluster_of(3)
    assert cluster.now < cluster["n1"].wake_at <= cluster.now + 0.1
    assert cluster["n2"].wake_at >= cluster.now + 0.5
    cluster.propose("n1", b"a")
    assert cluster["n1"].wake_at <= cluster.now
    cluster.tick("n1")
    cluster.deliver("n1", "n2")
    assert cluster["n2"].wake_at <= cluster.now
    cluster.settle()
    assert cluster["n1"].wake_at > cluster.now
    cluster["n1"].read_index(lambda index: None)
    assert cluster["n1"].wake_at <= cluster.now, "its round is to be sent"


def test_a_long_replay_is_applied_in_bounded_steps() -> None:
    cluster = Scripted(1, options=Options(apply_entries=10))
    cluster.run(2)
    cluster.propose("n1", *commands(0, 25))
    cluster.tick("n1")
    assert len(cluster.data("n1")) == 10
    assert cluster["n1"].wake_at <= cluster.now
    cluster.tick("n1")
    cluster.tick("n1")
    assert cluster.data("n1") == commands(0, 25)


def test_the_log_keeps_a_tail_behind_the_checkpoint() -> None:
    cluster = cluster_of(1)
    cluster.propose("n1", *commands(0, 50))
    cluster.settle()
    index = cluster.nodes["n1"].checkpoint()
    assert cluster["n1"].first_index == index - TEST_OPTIONS.tail_entries
    cluster.restart("n1")
    cluster.run(2)
    assert cluster.data("n1") == commands(0, 50)
    assert isinstance(cluster["n1"].propose(b"more"), Accepted)


def test_a_heartbeat_is_answered_without_a_tick_and_its_answer_wants_none() -> None:
    cluster = cluster_of(3)
    cluster.settle()
    cluster.now += TEST_OPTIONS.heartbeat_s
    cluster["n1"].tick()
    leader, follower = cluster["n1"], cluster["n2"]
    [heartbeat] = [m for peer, m in leader.outbox if peer == "n2"]
    assert isinstance(heartbeat, AppendEntries)
    assert not heartbeat.entries
    leader.outbox.clear()
    follower.receive("n1", heartbeat)
    [(to, answer)] = follower.outbox
    assert to == "n1"
    assert isinstance(answer, AppendAnswer)
    assert answer.matched
    assert follower.wake_at > cluster.now
    leader.receive("n2", answer)
    assert leader.outbox == []
    assert leader.wake_at > cluster.now


def test_what_came_in_is_acknowledged_by_the_next_tick_and_not_before_it_is_durable() -> None:
    cluster = cluster_of(3)
    cluster.settle()
    cluster.propose("n1", b"a")
    cluster["n1"].tick()
    leader, follower = cluster["n1"], cluster["n2"]
    [append] = [m for peer, m in leader.outbox if peer == "n2"]
    leader.outbox.clear()
    follower.receive("n1", append)
    follower.receive("n1", append)  # the same again says nothing about what is durable
    assert follower.outbox == []
    assert follower.wake_at <= cluster.now
    follower.tick()
    [(_, answer)] = follower.outbox
    leader.receive("n2", answer)
    assert leader.wake_at <= cluster.now  # it can be committed now
    leader.tick()
    assert cluster.data("n1") == [b"a"]
