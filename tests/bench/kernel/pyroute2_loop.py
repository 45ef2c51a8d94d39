"""A loop over pyroute2's events that keeps a table; after a loss it reads all links again."""
from pyroute2 import IPRoute

table = {}


def tell(index, name, state):
    table.pop(index, None) if state == "gone" else table.update({index: name})
    print(f"{index}: {name} {state}", flush=True)


def read_all(ipr):
    there = {link["index"]: link for link in ipr.get_links()}
    for index in table.keys() - there:
        tell(index, table[index], "gone")
    for index, link in there.items():
        tell(index, link.get_attr("IFLA_IFNAME"), "up" if link["flags"] & 1 else "down")


with IPRoute() as ipr:
    ipr.bind()
    read_all(ipr)
    while True:
        try:
            messages = ipr.get()
        except OSError:
            read_all(ipr)
            continue
        for message in messages:
            if message["event"] in ("RTM_NEWLINK", "RTM_DELLINK"):
                is_there = "down" if not message["flags"] & 1 else "up"
                state = "gone" if message["event"] == "RTM_DELLINK" else is_there
                tell(message["index"], message.get_attr("IFLA_IFNAME"), state)
