import pytest

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.session import Session
from sessionactors.templates import Templates


class Chat(Session):
    pass


def test_the_plain_class_is_always_known():
    templates = Templates()
    assert templates.named("Session") is templates.of(Session)
    assert templates.named("Session").start is Session


def test_a_class_is_known_by_its_name_once_it_was_shown():
    templates = Templates()
    assert templates.named(Chat.stored_name()) is None
    assert templates.of(Chat) is templates.named(f"{__name__}:Chat")


def test_classes_can_be_shown_at_once():
    assert Templates([Chat]).named(Chat.stored_name()).start is Chat


class Other(Session):
    @classmethod
    def stored_name(cls):
        return Chat.stored_name()


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(InvalidValue, match="session_class"):
        Templates([Chat, Other])
    assert Templates([Chat, Chat]).named(Chat.stored_name()).start is Chat


def test_no_class_takes_the_name_of_another():
    templates = Templates([Chat])
    assert templates.of(Other).start is Other
    assert templates.named(Chat.stored_name()).start is Chat
    with pytest.raises(InvalidValue, match="session_class"):
        templates.of(Other, is_stored=True)


def test_a_crash_restarts_no_session_by_the_supervisor():
    assert Templates().of(Session).restart == "temporary"


@pytest.mark.parametrize("given", [object, "Session", None, lambda: None, []])
def test_what_is_no_class_of_sessions_is_refused(given):
    with pytest.raises(InvalidKind, match="session_class"):
        Templates([given])


@pytest.mark.parametrize("name", [None, 7, [], "os:system", "Session "])
def test_a_name_that_nobody_has_shown_is_unknown(name):
    assert Templates().named(name) is None


@pytest.mark.parametrize("given", [Chat, None, 7, "Chat"])
def test_what_holds_no_classes_is_refused(given):
    with pytest.raises(InvalidKind, match="session_classes"):
        Templates(given)
