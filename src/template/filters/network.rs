//! Addresses and networks: the `ipaddr` family, as far as roles use it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Filter::{self, Plain};
use crate::template::args::{ValueArgs, int, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("ipaddr", Plain(|_, v, a| family(v, a, None))),
    ("ipsubnet", Plain(|_, v, a| family(v, a, None))),
    ("ipv4", Plain(|_, v, a| family(v, a, Some(false)))),
    ("ipv6", Plain(|_, v, a| family(v, a, Some(true)))),
    ("ipwrap", Plain(ipwrap)),
    ("ipmath", Plain(ipmath)),
];

/// An address with the network around it.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: u128,
    prefix: u32,
    six: bool,
    /// A prefix was written.
    given: bool,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
        let address: IpAddr = address.parse().ok()?;
        let (number, six) = match address {
            IpAddr::V4(a) => (u128::from(u32::from(a)), false),
            IpAddr::V6(a) => (u128::from(a), true),
        };
        let bits = if six { 128 } else { 32 };
        let prefix = match mask {
            None => bits,
            Some(mask) => match mask.parse::<u32>() {
                Ok(prefix) if prefix <= bits => prefix,
                Ok(_) => return None,
                Err(_) => {
                    let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
                    if six || mask.leading_ones() + mask.trailing_zeros() != 32 {
                        return None;
                    }
                    mask.leading_ones()
                }
            },
        };
        Some(Network { address: number, prefix, six, given: mask.is_some() })
    }

    fn bits(self) -> u32 {
        if self.six { 128 } else { 32 }
    }

    fn show(self, address: u128) -> String {
        if self.six {
            Ipv6Addr::from(address).to_string()
        } else {
            Ipv4Addr::from(address as u32).to_string()
        }
    }

    /// The bits of the host part.
    fn host_mask(self) -> u128 {
        match self.bits() - self.prefix {
            128 => u128::MAX,
            n => (1u128 << n) - 1,
        }
    }

    fn full(self) -> u128 {
        if self.six { u128::MAX } else { u128::from(u32::MAX) }
    }

    fn first(self) -> u128 {
        self.address & !self.host_mask() & self.full()
    }

    fn last(self) -> u128 {
        self.first() | self.host_mask()
    }
}

fn family(v: Value, args: ValueArgs, six: Option<bool>) -> R<Value> {
    let [query, index] = args.bind(["query", "index"])?;
    if let Value::List(items) = &v {
        let mut out = Vec::new();
        for item in items.iter() {
            let found = one(item, query.as_ref(), index.as_ref(), six)?;
            if found != Value::Bool(false) {
                out.push(found);
            }
        }
        return Ok(Value::list(out));
    }
    one(&v, query.as_ref(), index.as_ref(), six)
}

/// Answers one query for one address; false where it is none or does not fit.
fn one(v: &Value, query: Option<&Value>, _index: Option<&Value>, six: Option<bool>) -> R<Value> {
    let no = Ok(Value::Bool(false));
    let text = match v {
        Value::Bool(_) | Value::Null => return no,
        Value::Int(i) => match u32::try_from(*i) {
            Ok(n) => Ipv4Addr::from(n).to_string(),
            Err(_) => return no,
        },
        other => other.to_text(),
    };
    let Some(net) = Network::parse(text.trim()) else { return no };
    if six.is_some_and(|six| six != net.six) {
        return no;
    }
    let host = net.show(net.address);
    let str = |t: String| Ok(Value::str(t));
    let when = |yes: bool| if yes { Ok(Value::str(text.clone())) } else { Ok(Value::Bool(false)) };
    let query = match query {
        None => return when(true),
        Some(Value::Int(i)) => {
            // The n-th address of the network.
            let base = if *i < 0 { net.last() as i128 + 1 + i } else { net.first() as i128 + i };
            let address = u128::try_from(base).unwrap_or(0);
            if address < net.first() || address > net.last() {
                return no;
            }
            return str(format!("{}/{}", net.show(address), net.prefix));
        }
        Some(q) => text_or(Some(q.clone()), ""),
    };
    let single = net.prefix == net.bits();
    match query.as_str() {
        "" => when(true),
        "address" => {
            if net.given && !single && net.address == net.first() {
                no
            } else {
                str(host)
            }
        }
        "ip" | "bare" => str(host),
        "host" | "host/prefix" | "address/prefix" => str(format!("{host}/{}", net.prefix)),
        "network" => str(net.show(net.first())),
        "network/prefix" | "subnet" | "cidr" | "net" => match query.as_str() {
            "net" if net.address != net.first() => no,
            "cidr" => str(format!("{host}/{}", net.prefix)),
            _ => str(format!("{}/{}", net.show(net.first()), net.prefix)),
        },
        "network/netmask" => {
            str(format!("{}/{}", net.show(net.first()), net.show(net.full() & !net.host_mask())))
        }
        "netmask" => str(net.show(net.full() & !net.host_mask())),
        "hostmask" | "wildcard" => str(net.show(net.host_mask())),
        "prefix" => Ok(Value::from(net.prefix)),
        "broadcast" => {
            if single {
                no
            } else {
                str(net.show(net.last()))
            }
        }
        "size" => Ok(Value::Int((net.host_mask() as i128).saturating_add(1))),
        "first_usable" => {
            str(net.show(if net.bits() - net.prefix > 1 { net.first() + 1 } else { net.first() }))
        }
        "last_usable" => {
            str(net.show(if net.bits() - net.prefix > 1 && !net.six { net.last() - 1 } else { net.last() }))
        }
        "int" => Ok(Value::Int(net.address as i128)),
        "version" => Ok(Value::Int(if net.six { 6 } else { 4 })),
        "revdns" => str(reverse_name(net)),
        "type" => str(if net.given && !single && net.address == net.first() { "network" } else { "address" }
            .to_string()),
        "private" => when(is_private(net)),
        "public" => when(!is_private(net) && !is_local(net)),
        "loopback" | "lo" => when(if net.six { net.address == 1 } else { net.address >> 24 == 127 }),
        "link-local" => when(if net.six { net.address >> 118 == 0x3fa } else { net.address >> 16 == 0xa9fe }),
        "multicast" => when(if net.six { net.address >> 120 == 0xff } else { net.address >> 28 == 0xe }),
        "unicast" => when(if net.six { net.address >> 120 != 0xff } else { net.address >> 28 != 0xe }),
        "wrap" => str(wrap(&text)),
        // Any other query is a network that the address must be in.
        other => match Network::parse(other) {
            Some(around) => {
                when(around.six == net.six && around.first() <= net.first() && net.last() <= around.last())
            }
            None => match other.parse::<i128>() {
                Ok(i) => one(v, Some(&Value::Int(i)), None, six),
                Err(_) => Err(Fail::failed(format!("unknown filter type: {other}"))),
            },
        },
    }
}

fn is_private(net: Network) -> bool {
    if net.six {
        return net.address >> 121 == 0x7e;
    }
    let a = Ipv4Addr::from(net.address as u32);
    a.is_private()
}

fn is_local(net: Network) -> bool {
    if net.six {
        net.address == 1 || net.address >> 118 == 0x3fa
    } else {
        matches!(net.address >> 24, 127 | 0 | 224..)
    }
}

fn reverse_name(net: Network) -> String {
    if net.six {
        let digits: Vec<String> =
            format!("{:032x}", net.address).chars().rev().map(|c| c.to_string()).collect();
        return digits.join(".") + ".ip6.arpa.";
    }
    let [a, b, c, d] = Ipv4Addr::from(net.address as u32).octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
}

/// Puts brackets around IPv6 addresses, as URLs want them.
fn wrap(text: &str) -> String {
    match Network::parse(text) {
        Some(net) if net.six => match text.split_once('/') {
            Some((address, prefix)) => format!("[{address}]/{prefix}"),
            None => format!("[{text}]"),
        },
        _ => text.to_string(),
    }
}

fn ipwrap(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [_, _] = args.bind(["query", "value"])?;
    Ok(match &v {
        Value::List(items) => Value::list(items.iter().map(|x| Value::str(wrap(&x.to_text()))).collect()),
        other => Value::str(wrap(&other.to_text())),
    })
}

fn ipmath(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [amount] = args.bind(["amount"])?;
    let text = v.to_text();
    let net = Network::parse(&text).ok_or_else(|| Fail::failed(format!("'{text}' is no IP address")))?;
    let amount = int(&amount.unwrap_or(Value::Int(0)), "amount")?;
    let moved = u128::try_from(net.address as i128 + amount).ok().filter(|a| *a <= net.full());
    moved.map(|a| Value::str(net.show(a))).ok_or_else(|| Fail::failed("the address is out of range"))
}
