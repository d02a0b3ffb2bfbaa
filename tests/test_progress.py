from gencomp.progress import ByteProgress, advance, listening


def test_shares_become_bytes() -> None:
    told: list[int] = []
    done = ByteProgress(10, 2, told.append)
    with listening(done.step):
        for _ in range(4):
            advance(0.25)
    assert told == [1, 1, 1, 2]
    advance(0.5)  # nobody listens
    done.finish()
    assert sum(told) == 10


def test_work_that_says_nothing_is_told_at_its_end() -> None:
    told: list[int] = []
    ByteProgress(10, 2, told.append).finish()
    assert told == [10]


def test_more_work_than_was_foreseen() -> None:
    told: list[int] = []
    done = ByteProgress(10, 1, told.append)
    for _ in range(5):
        done.step(0.5)
    done.finish()
    assert sum(told) == 10
