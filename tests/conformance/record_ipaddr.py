#!/usr/bin/env python3
"""Records what the filters of ansible.utils about addresses answer, odd inputs included.

Needs ansible-core, netaddr and the collection ansible.utils on the path:  record_ipaddr.py > ipaddr.json
Each line is an expression and either Python's repr of the value or `null` with an error's text. Numbers from 2**127 on
are recorded as texts.
"""

import importlib
import json
import warnings

warnings.simplefilter("ignore")

INPUTS = ["192.168.1.5/24", "10.0.0.0/8", "::1", "fe80::1/64", "2001:db8::/32", "192.168.1.0/255.255.255.0", "1.2.3.4/32",
          "1.2.3.4/31", "1.2.3.5/31", "1.2.3.4/30", "1.2.3.5/30", "1.2.3.7/30", "not an ip", "", "256.1.1.1", "1.2.3", "192.168.1.0/33",
          "0.0.0.0/0", "127.0.0.1", "224.0.0.1", "169.254.1.1", "100.64.0.1", "192.0.2.1", " 1.2.3.4 ", 42, 3232235777,
          True, False, None, "fe80::1%eth0", "::ffff:1.2.3.4", "::ffff:1.2.3.4/120", "2002:c000:0204::", "::/0", "2001:db8::1/127",
          "2001:db8::1/128", ["192.168.1.1", "foo", "10.0.0.0/8", "2001:db8::1", 7, None], "1.2.3.4/255.255.0.0", "1.2.3.4/0.0.0.255",
          "1.2.3.4/255.0.255.0", "1.2.3.4/0", "8.8.8.8", "255.255.255.255", "0.0.0.0", "1.2.3.255/24", "10", "10/8", "0x7f000001",
          "1.2.3.4/a", 1.5, "::1/64", "fc00::1", "ff02::1", "::1.2.3.4", "01.02.03.04", "99999999999999999999", "8.8.8.0/24",
          "2606:4700::1111", "239.255.0.1", "192.0.0.9", "172.31.255.255/12"]
QUERIES = ["", "address", "net", "network", "netmask", "prefix", "host", "hostmask", "broadcast", "size", "int", "subnet", "type",
           "version", "bool", "gateway", "public", "private", "loopback", "multicast", "unicast", "link-local", "6to4", "ipv4", "ipv6",
           "revdns", "wrap", "cidr", "range_usable", "first_usable", "last_usable", "next_usable", "previous_usable", "peer",
           "network_id", "network/prefix", "network_netmask", "network_wildcard", "wildcard", "ip/prefix", "ip_netmask",
           "address/prefix", "size_usable", "1", "-1", "300", "1.5", "192.168.0.0/16", "2001:db8::/16", "nonsense", 2, -2, 0]


def cases():
    for value in INPUTS:
        for query in QUERIES:
            yield "ipaddr", value, [query] if query != "" else []
        for name in "ipv4", "ipv6":
            for query in "", "address", "prefix", "1", "wrap":
                yield name, value, [query] if query != "" else []
        for name, lists in {
            "ipwrap": [[]],
            "ipsubnet": [[], [20], [26], [26, 0], [26, -1], [26, 100], ["192.168.0.0/16"], ["1.0.0.0/8"], [18, 1], [64], [32], [0], ["x"]],
            "ipmath": [[1], [-1], [1000], ["2"]],
            "nthhost": [[], [1], [-1], [300], ["x"]],
            "next_nth_usable": [[1], [2], [0]],
            "previous_nth_usable": [[1], [2]],
            "network_in_network": [["192.168.1.0/25"], ["1.2.3.4"], ["x"], ["2001:db8:1::/48"]],
            "network_in_usable": [["192.168.1.1"], ["1.2.3.4/31"], ["192.168.1.255"]],
            "ip4_hex": [[], [":"]],
            "slaac": [["c2:31:b3:83:bf:2b"], ["x"]],
        }.items():
            if isinstance(value, (list, float)) or value is None:
                continue
            for args in lists:
                yield name, value, args
    nets = ["192.168.0.0/17", "192.168.128.0/17", "192.168.128.1", "10.1.2.3/8", "2001:db8::/33", "2001:db8:8000::/33"]
    for args in [[], ["merge"], ["span"], ["x"]]:
        yield "cidr_merge", nets, args
        yield "cidr_merge", nets[:3], args
        yield "cidr_merge", nets[:1], args
    for network in "192.168.0.0/16", "192.168.128.1", "x":
        yield "reduce_on_network", ["192.168.128.1", "10.1.2.3", "192.168.128.0/17", "x"], [network]
    for mac in ["52:54:00:02:56:44", "52-54-0-2-56-44", "5254.0002.5644", "525400025644", "525400-025644", "52:54:00:02:56", "x", "1:2:3"]:
        for query in ["", "bare", "bool", "int", "cisco", "eui48", "linux", "pgsql", "unix", "win", "nonsense"]:
            yield "hwaddr", mac, [query] if query else []
        yield "macaddr", mac, ["linux"]


def literal(value):
    return {None: "none", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else \
        "[" + ", ".join(literal(item) for item in value) + "]" if isinstance(value, list) else json.dumps(value)


def exact(value):
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2 ** 127:
        return str(value)
    return value


def main():
    for name, value, args in cases():
        module = importlib.import_module("ansible_collections.ansible.utils.plugins.filter." + name)
        given = "(" + ", ".join(literal(arg) for arg in args) + ")" if args else ""
        expression = "%s | %s%s" % (literal(value), name, given)
        try:
            print(json.dumps([expression, repr(exact(getattr(module, "_" + name)(None, value, *args)))]))
        except Exception as problem:
            print(json.dumps([expression, None, str(problem).split("\n")[0][:200]]))


if __name__ == "__main__":
    main()
