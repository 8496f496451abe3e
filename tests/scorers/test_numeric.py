"""Numbers in replies: how they are written, which one answers, tolerance, units, percent."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scorers.helpers import judged, trial, word

from steelyard.scorers.numbers import first_number, numbers_in, parse_whole, tidy
from steelyard.scorers.units import UNITS, convert

AGREE = [
    ("18", "18"), ("$18.00", "18"), ("-$5", "-5"), ("$-5", "-5"), ("1,234", "1234"), ("1,234,567.5", "1234567.5"),
    ("1 234 567", "1234567"), ("1\u202f234", "1234"), ("1'000", "1000"), ("16-3=13", "13"), ("x = -5.", "-5"),
    ("x = −5", "-5"), ("3/4", "0.75"), ("1 1/2", "1.5"), ("2½", "2.5"), (r"\frac{3}{4}", "0.75"), (r"$\dfrac{-1}{2}$", "-0.5"),
    ("1.2e3", "1200"), ("1.2 × 10^3", "1200"), (r"1.2\times 10^{-2}", "0.012"), ("3*10**2", "300"), ("10^6", "1000000"), ("2**10", "1024"), (r"10^{-3}", "0.001"), ("2 million", "2000000"),
    (r"\boxed{42}", "42"), (r"\boxed{1{,}000}", "1000"), ("#### 7", "7"), ("**18**", "18"), ("(3)", "3"), (".5", "0.5"),
    ("The answer is 12. (I used 3 steps)", "12"), ("First 3, then 4, so 7", "7"), ("A: 65,960", "65960"),
    ("50%", "0.5"), ("50%", "50"), ("50", "50%"), ("0.5", "50%"), ("50 percent", "50%"), (r"50\%", "50%"),
    ("1.5 km", "1500 m"), ("1500 m", "1.5 km"), ("1500", "1500 m"), ("18 eggs", "18"), ("20 °C", "68 °F"), ("90 min", "1.5 h"),
    ("7 in total", "7"), ("36 km/h", "10 m/s"), ("５", "5"), ("0.1", ".10"), ("18 dollars", "$18"), ("1e3", "1,000"),
    ("1.2 × 10³", "1200"), ("1.2×10⁻³", "0.0012"), ("10²", "100"), ("1,00,000", "100000"), ("12,34,567.5", "1234567.5"),
    ("1.234.567", "1234567"), ("1.234.567,8", "1234567.8"), ("٧ ثم ١٢", "12"), ("१२٫५", "12.5"), ("1,2,3", "3"),
    ("90071992547409931", "90071992547409931"), ("18", "16 - 3 - 4 = 9, so $18\n#### 18"), ("7", r"So 3 + 4 = \boxed{7}."),
]  # fmt: skip
DIFFER = [
    ("3 kg", "3 m"), ("1 km", "1 m"), ("9007199254740993", "9007199254740992"), ("5", "-5"), ("0.33", "1/3"), ("1,2", "12"),
    ("5%", "0.5"), ("2", "3"),
]  # fmt: skip
UNREADABLE = ["no", "H2O", "minus", "1e999", "NaN", "The answer is twelve", "½x".replace("½", "")]


@pytest.mark.parametrize(("reply", "target"), AGREE)
def test_the_same_number_written_otherwise(reply: str, target: str) -> None:
    assert word(judged("numeric", trial(reply, target))) == "passed"


@pytest.mark.parametrize(("reply", "target"), DIFFER)
def test_another_number(reply: str, target: str) -> None:
    assert word(judged("numeric", trial(reply, target))) == "failed"


@pytest.mark.parametrize("reply", UNREADABLE)
def test_no_number_is_a_format_failure(reply: str) -> None:
    assert word(judged("numeric", trial(reply, "3"))) == "unreadable"


@pytest.mark.parametrize(
    ("options", "reply", "target", "want"),
    [
        ({"absolute": 0.1}, "3.14", "3.2", "passed"),
        ({"absolute": 0.05}, "3.14", "3.2", "failed"),
        ({"relative": 0.02}, "98", "100", "passed"),
        ({"relative": 0.02}, "-98", "100", "failed"),
        ({"after": ["A:"]}, "1 2 3\nA: 4 dollars for 9", "4", "passed"),
        ({"after": ["A:"]}, "the answer is 4", "4", "unreadable"),
        ({"pick": "first"}, "4 or 5", "4", "passed"),
        ({"unit": "m"}, "150 cm", "1.5", "passed"),
        ({"unit": "m", "unit_required": True}, "1.5", "1.5", "failed"),
        ({"unit": "m", "unit_required": True}, "1.5 m", "1.5", "passed"),
        ({"decimal": ","}, "1.234,5", "1234.5", "passed"),
        ({"percent": "strict"}, "50%", "50", "failed"),
        ({"percent": "strict"}, "50%", "0.5", "passed"),
    ],
)
def test_options(options: dict[str, object], reply: str, target: str, want: str) -> None:
    assert word(judged({"type": "numeric", **options}, trial(reply, target))) == want


def test_a_truncated_reply_is_read_only_where_the_answer_is_marked_or_all_there_is() -> None:
    assert word(judged("numeric", trial("3 + 4 is 7 and 7 + 1", "1", finish="length"))) == "unreadable"
    assert word(judged("numeric", trial("so the answer is 7, because", "7", finish="length"))) == "passed"
    assert word(judged("numeric", trial("7", "7", finish="length"))) == "passed"


@given(st.integers(-(10**30), 10**30))
def test_every_integer_is_read_exactly_however_it_is_grouped(n: int) -> None:
    for text in (str(n), f"{n:,}", f"{n:_}", f"So it is {n:,}."):
        found = first_number(tidy(text))
        assert found is not None
        assert found.exact == n, text


@given(st.fractions(max_denominator=999).filter(lambda f: abs(f) < 10**6))
def test_every_fraction_is_read_to_float_precision(f: Fraction) -> None:
    found = parse_whole(f"{f.numerator}/{f.denominator}")
    assert found is not None
    assert found.value == pytest.approx(float(f), rel=1e-12, abs=1e-300)


@given(st.text(alphabet="0123456789.,-+/ eE%$x^{}\\fracA:\n½", max_size=200))
def test_no_text_raises_and_every_number_is_finite(text: str) -> None:
    for number in numbers_in(tidy(text)):
        assert number.value == number.value
        assert abs(number.value) != float("inf")
        assert 0 <= number.start < number.end
    judged("numeric", trial(text or "x", "1"))


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1,", "1,111", "1/", "-", "- ", "$", r"\frac{1}", "1 1/", "1e", "1 x 10^", "A: "]
)
def test_reading_takes_time_linear_in_the_text(piece: str) -> None:
    from time import process_time

    def seconds(n: int) -> float:
        text = piece * (n // len(piece))
        start = process_time()
        judged("numeric", trial(text, "1"))
        return process_time() - start

    small = min(seconds(20_000) for _ in range(3))
    large = min(seconds(160_000) for _ in range(2))
    assert large < 30 * small + 0.05, f"{piece!r}: {small:.4f} s for 20 kB, {large:.4f} s for 160 kB"


def test_conversion_there_and_back_is_the_identity() -> None:
    for a in UNITS.values():
        for b in UNITS.values():
            if a.dimension == b.dimension:
                assert convert(convert(12.5, a, b), b, a) == pytest.approx(12.5, rel=1e-12, abs=1e-9)
