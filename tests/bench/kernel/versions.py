"""Which versions the others are of."""
import glob
import subprocess

from figures import tell
from subjects import IpMonitor, Networkd, NetworkManager, Pyroute2, Zebra

PACKAGES = {Pyroute2: "python3-pyroute2", Zebra: "frr", NetworkManager: "network-manager"}


def tell_versions(packages):
    """Of programs of this host what they say; of those of unpacked packages the packages'."""
    said(IpMonitor, "ip", "-V")
    said(Networkd, "/lib/systemd/systemd-networkd", "--version")
    for kind, package in PACKAGES.items():
        for file in glob.glob(f"{packages}/packages/{package}_*.deb"):
            said(kind, "dpkg-deb", "--show", "--showformat", "${Package} ${Version}", file)


def said(kind, *command):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    tell("version", who=kind.name, version=done.stdout.splitlines()[0])
