"""The services that this cloud has, by model name. Each is imported when it is first asked for.

Forty services take longer to import than a start may last, and most clouds use a handful. A service
is asked for by the first call of it, by a job of its that is due, and at the start where it has
left something in the store: then it may have work to do.
"""

from __future__ import annotations

import importlib
import keyword
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping

import doppio.services as home
from doppio.kernel.service import Service

PACKAGES = f"{home.__name__}."


class Catalog(Mapping[str, Service]):
    """All services; `joined` is called once with each, when it has been imported."""

    def __init__(self, joined: Callable[[Service], None] | None = None) -> None:
        self._packages = {
            model_name(found.name): found.name
            for found in pkgutil.iter_modules(home.__path__)
            if found.ispkg
        }
        self._joined = joined
        self._imported: dict[str, Service] = {}

    def __getitem__(self, name: str) -> Service:
        found = self._imported.get(name)
        if found is None:
            module = importlib.import_module(f"{PACKAGES}{self._packages[name]}.service")
            found = module.SERVICE
            assert found.name == name, f"{module.__name__} calls itself {found.name}"
            self.join(found)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)

    def __contains__(self, name: object) -> bool:
        return name in self._packages

    @property
    def imported(self) -> list[Service]:
        """Those that somebody has asked for so far."""
        return list(self._imported.values())

    def join(self, service: Service) -> None:
        """Take a service in: an imported one, or one of a test's own."""
        self._packages.setdefault(service.name, service.name)
        self._imported[service.name] = service
        if self._joined is not None:
            self._joined(service)


def model_name(package: str) -> str:
    """The model that a package serves: `lambda_` is `lambda`, `cognito_idp` is `cognito-idp`."""
    return package.rstrip("_").replace("_", "-")


def package_name(model: str) -> str:
    """The package that serves a model: a word of Python's gets an underscore behind it."""
    package = re.sub(r"\W", "_", model)
    return f"{package}_" if keyword.iskeyword(package) else package


def service_of(module: str) -> str | None:
    """The model name of the service to which a module belongs, None where it is no service's."""
    if not module.startswith(PACKAGES):
        return None
    return model_name(module.removeprefix(PACKAGES).partition(".")[0])
