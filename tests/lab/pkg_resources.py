"""What supervisord and supervisorctl ask of pkg_resources, whose import takes an emulated machine four seconds."""
from importlib import metadata


class EntryPoint:
    """Something in a module, by its name in the configuration."""

    def __init__(self, spec):
        name, _, where = spec.partition("=")
        self.named = metadata.EntryPoint(name, where, group="")

    parse = classmethod(lambda cls, spec: cls(spec))

    def resolve(self):
        return self.named.load()
