"""Child specifications: what a supervisor starts, and how it is to end it.

A specification is validated when it is made, field by field in OTP's order, so
that of several faults the same one is named as in OTP (SPEC-5). Each fault is an
`InvalidChildSpec` that tells the field and what is allowed in words, and carries
OTP's error term in `why` for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, final, get_args

from supervisors.errors import InvalidArgumentError, Refusal
from supervisors.timers.service import SECONDS_MAX

__all__ = [
    "AutoShutdown",
    "ChildSpec",
    "ChildType",
    "InvalidChildSpec",
    "Modules",
    "RestartType",
    "ShutdownBudget",
    "check_child_spec",
    "check_child_specs",
    "validate_args",
    "validate_id",
    "validate_kwargs",
    "validate_modules",
    "validate_restart",
    "validate_shutdown",
    "validate_significant",
    "validate_start",
    "validate_type",
]

RestartType = Literal["permanent", "transient", "temporary"]
ChildType = Literal["worker", "supervisor"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]
ShutdownBudget = float | Literal["infinity", "brutal_kill"]
Modules = tuple[str, ...] | Literal["dynamic"]

RESTART_TYPES: Final[tuple[str, ...]] = get_args(RestartType)
CHILD_TYPES: Final[tuple[str, ...]] = get_args(ChildType)
AUTO_SHUTDOWNS: Final[tuple[str, ...]] = get_args(AutoShutdown)

_WORKER_SHUTDOWN: Final = 5.0
_NO_KWARGS: Final[Mapping[str, Any]] = MappingProxyType({})

# Marks a field that was not given, because None is a value that somebody may
# have given by mistake and wants to hear about.
_ABSENT: Final[Any] = object()


class InvalidChildSpec(InvalidArgumentError, Refusal):  # noqa: N818 - named after what it refuses
    """A child specification, or a list of them, is not valid.

    Attributes:
        field: the field at fault; `spec` for the specification as a whole.
        why: OTP's error term as a value: a string, or a tuple of a tag and facts.
        allowed: what would have been right, in words.
    """

    code = "invalid_child_spec"

    def __init__(self, field: str, given: object, allowed: str, why: object) -> None:
        self.why = why
        super().__init__(field, given, allowed)


@final
@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child of a supervisor (SPEC-3 to SPEC-6).

    Attributes:
        id: names the child among its siblings; anything hashable.
        start: called in the supervisor's turn with `args` and `kwargs`; starts
            and links the child, and returns its reference (SUP-4, SUP-7).
        args: positional arguments of `start`, the same for every restart (SUP-18).
        kwargs: keyword arguments of `start`, likewise.
        restart: `permanent`: always restarted; `transient`: after an abnormal end
            only; `temporary`: never, and forgotten (SUP-9).
        shutdown: seconds between the exit signal `shutdown` and `kill`, 0 or more;
            `infinity`: never `kill`; `brutal_kill`: `kill` at once (SUP-40).
            Default 5.0 for a worker, `infinity` for a supervisor (SPEC-4): one that is
            killed because its time is up leaves its own children to SUP-49, and ends none
            of them in order (SUP-50).
        type: `worker` or `supervisor`.
        significant: whether the child's own end can shut the supervisor down
            (SUP-31); not with `permanent`, nor where auto-shutdown is `never`.
        modules: names of the modules that the child runs, or `dynamic`. Default:
            the module of `start`.

    Raises:
        InvalidChildSpec: on creation, for the first field at fault.
    """

    id: Any
    start: Callable[..., object]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default=_ABSENT, hash=False)
    _: KW_ONLY
    restart: RestartType = "permanent"
    shutdown: ShutdownBudget = _ABSENT
    type: ChildType = "worker"
    significant: bool = False
    modules: Modules = _ABSENT
    _bare: ChildSpec | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Validate the fields in OTP's order and fill in the defaults that depend on others."""
        validate_id(self.id)
        validate_start(self.start)
        object.__setattr__(self, "args", validate_args(self.args))
        object.__setattr__(self, "kwargs", _NO_KWARGS if self.kwargs is _ABSENT else validate_kwargs(self.kwargs))
        validate_restart(self.restart)
        validate_significant(self.significant, self.restart)
        validate_type(self.type)
        shutdown: object = self.shutdown
        if shutdown is _ABSENT:
            shutdown = _WORKER_SHUTDOWN if self.type == "worker" else "infinity"
        object.__setattr__(self, "shutdown", validate_shutdown(shutdown))
        modules: object = self.modules
        if modules is _ABSENT:
            modules = (str(getattr(self.start, "__module__", None) or type(self.start).__module__),)
        object.__setattr__(self, "modules", validate_modules(modules))

    def with_args(self, args: tuple[Any, ...]) -> ChildSpec:
        """Return the same specification with other positional arguments.

        Nothing else has to be validated again, and no general copying machinery is
        needed: a dynamic supervisor does this for every child (SUP-19).
        """
        made = object.__new__(ChildSpec)
        assign = object.__setattr__
        assign(made, "id", self.id)
        assign(made, "start", self.start)
        assign(made, "args", args)
        assign(made, "kwargs", self.kwargs)
        assign(made, "restart", self.restart)
        assign(made, "shutdown", self.shutdown)
        assign(made, "type", self.type)
        assign(made, "significant", self.significant)
        assign(made, "modules", self.modules)
        # Many are made from one that has no arguments; they share it.
        assign(made, "_bare", self._bare if self.args else self)
        return made

    def with_more(self, args: tuple[Any, ...]) -> ChildSpec:
        """Return the same specification with arguments appended to its own."""
        return self.with_args(self.args + args) if args else self

    def without_args(self) -> ChildSpec:
        """Return the same specification without positional arguments, the same object for many where possible."""
        if not self.args:
            return self
        return self.with_args(()) if self._bare is None else self._bare


def check_child_spec(given: object, auto_shutdown: AutoShutdown | None = None) -> ChildSpec:
    """Turn a specification, or a mapping of its fields, into a valid `ChildSpec`.

    Args:
        given: a `ChildSpec` or a mapping; unknown keys are ignored (SPEC-3).
        auto_shutdown: the supervisor's setting; None: not known, so not checked.

    Raises:
        InvalidChildSpec: for the first fault in the order of SPEC-5.
    """
    if isinstance(given, ChildSpec):
        validate_significant(given.significant, given.restart, auto_shutdown)
        return given
    if not isinstance(given, Mapping):
        raise InvalidChildSpec("spec", given, "a ChildSpec or a mapping of its fields", ("invalid_child_spec", given))
    if "id" not in given:
        raise InvalidChildSpec("id", None, "an id, in every specification", "missing_id")
    if "start" not in given:
        raise InvalidChildSpec("start", None, "a start function, in every specification", "missing_start")
    fields = {name: given[name] for name in _FIELDS if name in given}
    # Whether a significant child fits the supervisor is OTP's business in the
    # middle of the list; so the fields before it have to be looked at first.
    if auto_shutdown == "never":
        validate_id(fields["id"])
        validate_start(fields["start"])
        validate_args(fields.get("args", ()))
        validate_kwargs(fields.get("kwargs", _NO_KWARGS))
        restart = validate_restart(fields.get("restart", "permanent"))
        validate_significant(fields.get("significant", False), restart, auto_shutdown)
    return ChildSpec(**fields)


def check_child_specs(given: object, auto_shutdown: AutoShutdown | None = None) -> tuple[ChildSpec, ...]:
    """Validate a list of specifications together (SPEC-7, SPEC-9).

    Args:
        given: a list or tuple of specifications or mappings.
        auto_shutdown: as in `check_child_spec()`.

    Raises:
        InvalidChildSpec: for the first fault in list order.
    """
    if auto_shutdown is not None and not _is_one_of(auto_shutdown, AUTO_SHUTDOWNS):
        raise InvalidChildSpec("auto_shutdown", auto_shutdown, _choice(AUTO_SHUTDOWNS), ("badarg", auto_shutdown))
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidChildSpec("specs", given, "a list of child specifications", ("badarg", given))
    checked: dict[object, ChildSpec] = {}
    for one in given:
        spec = check_child_spec(one, auto_shutdown)
        if spec.id in checked:
            raise InvalidChildSpec(
                "id", spec.id, "an id that no other child of the list has", ("duplicate_child_name", spec.id)
            )
        checked[spec.id] = spec
    return tuple(checked.values())


def validate_id(child_id: object) -> object:
    """Return the id if it can name a child: anything hashable."""
    try:
        hash(child_id)
    except TypeError:
        raise InvalidChildSpec("id", child_id, "anything hashable", ("invalid_id", child_id)) from None
    return child_id


def validate_start(start: object) -> Callable[..., object]:
    """Return the start function if it can be called."""
    if not callable(start):
        raise InvalidChildSpec("start", start, "a function or class to call", ("invalid_mfa", start))
    return start


def validate_args(args: object) -> tuple[Any, ...]:
    """Return the positional arguments of the start function as a tuple."""
    if not isinstance(args, (tuple, list)):
        raise InvalidChildSpec("args", args, "a tuple of arguments", ("invalid_mfa", args))
    return tuple(args)


def validate_kwargs(kwargs: object) -> Mapping[str, Any]:
    """Return a copy of the keyword arguments that nobody can change."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise InvalidChildSpec("kwargs", kwargs, "a mapping of argument names to values", ("invalid_mfa", kwargs))
    return MappingProxyType(dict(kwargs)) if kwargs else _NO_KWARGS


def validate_restart(restart: object) -> RestartType:
    """Return the restart type if it is one."""
    if not _is_one_of(restart, RESTART_TYPES):
        raise InvalidChildSpec("restart", restart, _choice(RESTART_TYPES), ("invalid_restart_type", restart))
    return restart  # type: ignore[return-value]  # it is one of the literals


def validate_significant(significant: object, restart: RestartType, auto_shutdown: AutoShutdown | None = None) -> bool:
    """Return the flag if it is one and goes with the other settings (SPEC-6)."""
    if not isinstance(significant, bool):
        raise InvalidChildSpec("significant", significant, "True or False", ("invalid_significant", significant))
    if significant and auto_shutdown == "never":
        raise InvalidChildSpec(
            "significant",
            significant,
            "False, in a supervisor with auto_shutdown='never'",
            ("bad_combination", [("auto_shutdown", "never"), ("significant", True)]),
        )
    if significant and restart == "permanent":
        raise InvalidChildSpec(
            "significant",
            significant,
            "False, for a permanent child",
            ("bad_combination", [("restart", "permanent"), ("significant", True)]),
        )
    return significant


def validate_type(child_type: object) -> ChildType:
    """Return the child type if it is one."""
    if not _is_one_of(child_type, CHILD_TYPES):
        raise InvalidChildSpec("type", child_type, _choice(CHILD_TYPES), ("invalid_child_type", child_type))
    return child_type  # type: ignore[return-value]  # it is one of the literals


def validate_shutdown(shutdown: object) -> ShutdownBudget:
    """Return the shutdown value; numbers become float seconds."""
    if isinstance(shutdown, str) and shutdown in ("infinity", "brutal_kill"):
        return shutdown  # type: ignore[return-value]  # it is one of the literals
    if isinstance(shutdown, (int, float)) and not isinstance(shutdown, bool) and 0 <= shutdown <= SECONDS_MAX:
        return float(shutdown)
    raise InvalidChildSpec(
        "shutdown",
        shutdown,
        "seconds, 0 to a hundred years; 'infinity'; 'brutal_kill'",
        ("invalid_shutdown", shutdown),
    )


def validate_modules(modules: object) -> Modules:
    """Return the module names as a tuple, or `dynamic`."""
    if isinstance(modules, str) and modules == "dynamic":
        return "dynamic"
    if not isinstance(modules, (tuple, list)):
        raise InvalidChildSpec("modules", modules, "a list of module names, or 'dynamic'", ("invalid_modules", modules))
    for module in modules:
        if not isinstance(module, str):
            raise InvalidChildSpec("modules", module, "names of modules, as strings", ("invalid_module", module))
    return tuple(modules)


def _is_one_of(value: object, allowed: tuple[str, ...]) -> bool:
    # Not a plain `in`: a value with an __eq__ of its own could pass for a string.
    return isinstance(value, str) and value in allowed


def _choice(allowed: tuple[str, ...]) -> str:
    return ", ".join(repr(one) for one in allowed)


_FIELDS: Final = ("id", "start", "args", "kwargs", "restart", "shutdown", "type", "significant", "modules")
