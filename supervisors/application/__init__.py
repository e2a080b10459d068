"""Applications: what a program is made of, started in order and stopped in reverse (APP-1 to APP-9).

An application is a tree of actors with a name, a list of the applications that it
needs, settings, and a function that starts its top supervisor. Each one runs under
an actor of its own, its *master*, which is the parent of the top supervisor; all
masters run under one *controller*, which is what `Applications` talks to.

What happens when a top supervisor gives up is decided here and nowhere else: the
type with which an application was started says whether the others go on without it.

Source: OTP's `application`. There is one node, so there are no start types.
"""

from supervisors.application.applications import Applications, ApplicationType
from supervisors.application.description import Application, ApplicationError

__all__ = ["Application", "ApplicationError", "ApplicationType", "Applications"]
