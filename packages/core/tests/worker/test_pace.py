"""Learning how many jobs end while a claim is under way."""

from stoker.worker.pace import Pace


class Days:
    """A worker's jobs and claims, at times of the test's choice."""

    def __init__(self, *queues: str) -> None:
        self.now = 0.0
        self.ended = dict.fromkeys(queues, 0)
        self.pace = Pace(self.ended, lambda: self.now)

    def claim(self, seconds: float, **ended: int) -> None:
        """Claim, and have so many jobs end meanwhile."""
        self.pace.claim_begins()
        self.go_on(seconds, **ended)
        self.pace.claim_ends()

    def go_on(self, seconds: float, **ended: int) -> None:
        """Let time pass, and jobs end."""
        self.now += seconds
        for queue, count in ended.items():
            self.ended[queue] += count


def test_before_two_claims_nothing_is_expected() -> None:
    days = Days("a")
    assert days.pace.ending() == {}
    days.claim(1, a=100)
    assert days.pace.ending() == {}


def test_what_ended_during_two_claims_is_expected_half_during_the_next() -> None:
    days = Days("a")
    days.claim(1, a=100)
    days.claim(1, a=50)
    assert days.pace.ending() == {"a": 75}


def test_a_worker_that_has_waited_for_its_claims_is_told_what_ended_between_them() -> None:
    days = Days("a")
    days.claim(2)
    days.go_on(2, a=90)
    days.claim(2)
    assert days.pace.ending() == {"a": 30}


def test_what_ended_before_the_last_two_claims_does_not_count() -> None:
    days = Days("a")
    days.claim(1, a=1_000)
    days.claim(1)
    days.claim(1)
    assert days.pace.ending() == {"a": 0}


def test_slow_jobs_of_one_queue_are_not_expected_for_the_quick_ones_of_another() -> None:
    days = Days("slow", "quick")
    days.claim(1, quick=10)
    days.claim(1, quick=10)
    assert days.pace.ending() == {"slow": 0, "quick": 10}


def test_no_more_are_expected_than_ended_however_long_the_last_claim_took() -> None:
    days = Days("a")
    days.claim(0.001, a=5)
    days.claim(1_000)
    assert days.pace.ending() == {"a": 4}


def test_when_the_worker_is_idle_less_and_less_is_expected() -> None:
    days = Days("a")
    days.claim(1, a=10)
    days.claim(1, a=10)
    days.go_on(8)
    assert days.pace.ending() == {"a": 2}


def test_after_forgetting_it_takes_two_more_claims() -> None:
    days = Days("a")
    days.claim(1, a=10)
    days.claim(1, a=10)
    days.pace.forget()
    days.claim(1, a=10)
    assert days.pace.ending() == {}
    days.claim(1, a=10)
    assert days.pace.ending() == {"a": 10}


def test_a_clock_that_stands_still_gives_no_answer() -> None:
    days = Days("a")
    days.claim(0, a=10)
    days.claim(0, a=10)
    assert days.pace.ending() == {}
