"""A dict that is walked a part at a time: the same parts whether few keys are in it or many."""

from collections import Counter

import pytest

from orchestrix_raft.machine.shards import SHARDS, Shards, shard_of

EDGES = (0, 1, 7, 500, SHARDS - 1, SHARDS)


@pytest.mark.parametrize("count", [50, 3_000])
def test_every_key_is_in_one_part_and_counted_there(count: int) -> None:
    keys = [f"k{number}" for number in range(count)]
    shards = Shards[int]()
    for number, key in enumerate((*keys, *keys)):
        shards[key] = number
    assert (len(shards), sorted(shards)) == (count, sorted(keys))
    assert shards.get("k0") == count, "the newest value"
    walked = [key for part in range(SHARDS) for key in shards.within(part, part + 1)]
    assert sorted(walked) == sorted(keys)
    part_of = {key: shard_of(key) for key in keys}
    sizes = Counter(part_of.values())
    for low in EDGES:
        assert shards.sizes(low) == [sizes[part] for part in range(low, SHARDS)]
        for high in EDGES:
            assert set(shards.within(low, high)) == {key for key in keys if low <= part_of[key] < high}
    for key in keys:
        del shards[key]
        assert key not in shards
    assert (len(shards), list(shards)) == (0, [])
