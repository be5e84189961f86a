"""Work in the background: told, bounded, ended."""

import threading

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.jobs import Jobs
from tests.viewer.recording_page import RecordingPage


@pytest.fixture
def page():
    return RecordingPage()


@pytest.fixture
def errors():
    return []


@pytest.fixture
def jobs(page, errors):
    jobs = Jobs(page, errors.append)
    yield jobs
    jobs.close()


def test_a_job_shows_how_far_it_is_and_that_it_is_over(jobs, page):
    jobs.begin("dig", lambda job: [job.report(share) for share in (0.5, 2.0)])
    jobs.wait()
    assert [share for _, share, _ in page.progress] == [0.0, 0.5, 1.0, None]
    assert jobs.running == ()


def test_what_goes_wrong_is_told(jobs, errors, page):
    jobs.begin("dig", lambda job: 1 / 0)
    jobs.wait()
    assert isinstance(errors[0], ZeroDivisionError)
    assert page.progress[-1] == ("dig", None, "")


def digging(begun):
    def dig(job):
        begun.set()
        while True:
            job.cancelled.wait(0.01)
            job.report(0.5)

    return dig


def test_one_of_a_name_at_a_time(jobs):
    begun = threading.Event()
    jobs.begin("dig", digging(begun))
    begun.wait(10)
    with pytest.raises(InputError, match="under way"):
        jobs.begin("dig", lambda job: None)
    jobs.begin("sing", lambda job: None)


def test_a_job_that_is_begun_anew_comes_after_the_end_of_the_one_before(jobs, page, errors):
    begun, order = threading.Event(), []

    def slow(job):
        begun.set()
        job.cancelled.wait(10)
        order.append("ended")

    jobs.begin("dig", slow)
    begun.wait(10)
    jobs.begin("dig", lambda job: order.append("anew"), anew=True)
    jobs.wait()
    assert order == ["ended", "anew"]
    assert [share for _, share, _ in page.progress].count(None) == 1
    assert errors == []


def test_a_cancelled_job_is_no_failure(jobs, errors):
    begun = threading.Event()
    jobs.begin("dig", digging(begun))
    begun.wait(10)
    jobs.cancel("dig")
    jobs.wait()
    assert errors == []
    assert jobs.running == ()


def test_closing_ends_all_and_begins_no_more(page, errors):
    before, begun = threading.active_count(), threading.Event()
    jobs = Jobs(page, errors.append)
    jobs.begin("dig", digging(begun))
    begun.wait(10)
    jobs.close()
    assert threading.active_count() == before
    jobs.begin("dig", lambda job: errors.append("dug"))
    assert errors == []
