from __future__ import annotations

from supervisors import Entropy


def numbers(stream):
    return [stream.random() for _ in range(5)]


def test_the_same_seed_and_name_give_the_same_numbers():
    assert numbers(Entropy(7).stream("jitter")) == numbers(Entropy(7).stream("jitter"))


def test_other_names_and_other_seeds_give_other_numbers():
    one = numbers(Entropy(7).stream("jitter"))
    assert numbers(Entropy(7).stream("faults")) != one
    assert numbers(Entropy(8).stream("jitter")) != one
    assert numbers(Entropy("7").stream("jitter")) != one


def test_what_one_stream_draws_does_not_change_another():
    entropy = Entropy(7)
    expected = numbers(Entropy(7).stream("b"))
    numbers(entropy.stream("a"))
    assert numbers(entropy.stream("b")) == expected


def test_without_a_seed_each_is_different_and_can_be_repeated():
    entropy = Entropy()
    assert entropy.seed != Entropy().seed
    assert numbers(Entropy(entropy.seed).stream("x")) == numbers(entropy.stream("x"))


def test_a_token_has_the_size_asked_for_and_belongs_to_its_name():
    entropy = Entropy(7)
    assert len(entropy.token("a", 8)) == 8
    assert entropy.token("a") == Entropy(7).token("a") != entropy.token("b")
