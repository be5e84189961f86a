import pytest


@pytest.fixture(scope="module")
def luck(shapes_on_path):
    import luck

    return luck


def test_the_table_tells_spreads_over_seeds_and_over_threads(luck):
    rows = [
        {"number": 7, "seed": seed, "threads": threads, "stage_one": 28.0, "input": value, "novel": 20.0 + value / 10}
        for seed, threads, value in ((0, 1, 30.0), (1, 1, 32.5), (0, 2, 30.25))
    ]
    last = luck.table(rows).splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == [
        *("7", "3", "28.0", "0.00", "30.9", "2.50", "23.1", "0.25", "0.25")
    ]


def test_an_empty_log_has_no_rows(luck, tmp_path):
    assert luck.read_log(tmp_path / "none.jsonl") == []
    assert len(luck.table([]).splitlines()) == 2
