import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.model.subscription import STREAMS, Subscription, parse_subscriptions

EXCHANGES = ("BINANCE_SPOT", "BINANCE_FUTURES", "OKX_SWAP", "DERIBIT")
instruments = st.text(st.characters(whitelist_categories=("Lu", "Nd"), whitelist_characters="-_."), min_size=1, max_size=20)
subscriptions = st.builds(Subscription, st.sampled_from(STREAMS), st.sampled_from(EXCHANGES), instruments)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_subscriptions(text, EXCHANGES)
    return str(caught.value)


@given(st.lists(subscriptions, min_size=1, unique_by=lambda one: (one.stream, one.exchange, one.instrument.upper())))
def test_what_is_written_is_read_back(wanted: list[Subscription]) -> None:
    assert parse_subscriptions(",".join(map(str, wanted)), EXCHANGES) == tuple(wanted)


def test_white_space_case_empty_items_and_repeats_do_not_matter() -> None:
    text = " l2 : okx_swap @ BTCUSDT ,\n TRADES:BINANCE_FUTURES@ethusdt,,L2:OKX_SWAP@btcusdt, "
    assert parse_subscriptions(text, EXCHANGES) == (
        Subscription("L2", "OKX_SWAP", "BTCUSDT"),
        Subscription("TRADES", "BINANCE_FUTURES", "ethusdt"),
    )


def test_names_that_are_not_latin_are_names() -> None:
    assert parse_subscriptions("L2:BINANCE_SPOT@币安人生USDT", EXCHANGES)[0].instrument == "币安人生USDT"


@pytest.mark.parametrize("text", ["", "  ", ",", " , ,\n"])
def test_an_empty_list_says_what_to_give(text: str) -> None:
    assert refusal(text).startswith("no subscriptions: give --subscriptions")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("L3:OKX_SWAP@BTCUSDT", "unknown stream 'L3' in 'L3:OKX_SWAP@BTCUSDT'; did you mean"),
        ("FOO:OKX_SWAP@BTCUSDT", "unknown stream 'FOO' in 'FOO:OKX_SWAP@BTCUSDT'; known are FUNDING, L2, TRADES"),
        ("TRADE:OKX_SWAP@BTCUSDT", "unknown stream 'TRADE' in 'TRADE:OKX_SWAP@BTCUSDT'; did you mean TRADES?"),
        ("L2:OKX_SWOP@BTCUSDT", "unknown exchange 'OKX_SWOP' in 'L2:OKX_SWOP@BTCUSDT'; did you mean OKX_SWAP?"),
        ("L2:KRAKEN@XBTUSD", "unknown exchange 'KRAKEN' in 'L2:KRAKEN@XBTUSD'; known are BINANCE_FUTURES, BINANCE_SPOT"),
        ("BTCUSDT", "subscription 'BTCUSDT' has no stream: it must be STREAM:EXCHANGE@INSTRUMENT"),
        (":OKX_SWAP@BTCUSDT", "subscription ':OKX_SWAP@BTCUSDT' has no stream"),
        ("L2:@BTCUSDT", "subscription 'L2:@BTCUSDT' has no exchange"),
        ("L2:OKX_SWAP", "subscription 'L2:OKX_SWAP' has no instrument"),
        ("L2:OKX_SWAP@", "subscription 'L2:OKX_SWAP@' has no instrument"),
        ("L2:OKX_SWAP@BTCUSDT TRADES:OKX_SWAP@BTCUSDT", "cannot be one name; subscriptions are separated by commas"),
        ("L2:OKX_SWAP@BTC\x00USDT", "cannot be one name"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(text: str, sentence: str) -> None:
    assert sentence in refusal(f"L2:DERIBIT@BTC-PERPETUAL,{text}")


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused_with_a_sentence(text: str) -> None:
    try:
        found = parse_subscriptions(text, EXCHANGES)
    except ConfigError:
        return
    assert all(one.stream in STREAMS and one.exchange in EXCHANGES and one.instrument for one in found)
