"""The servers the suite can be run against: the hub, and the peers that prove the tests themselves right."""

from .base import Account, Server, StartFailed
from .ejabberd import Ejabberd
from .leveret import Leveret
from .prosody import Prosody

KINDS = {"leveret": Leveret, "prosody": Prosody, "ejabberd": Ejabberd}

__all__ = ["Account", "KINDS", "Server", "StartFailed"]
