//! `ipaddr` and its queries, as the collection ansible.utils answers them: nothing is null, "no" is false.

use super::address::{Network, number};
use crate::template::error::{Fail, R};
use crate::value::Value;

/// How the address was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Address,
    Network,
}

const NO: Value = Value::Bool(false);

/// Answers a query for an address, or for each of a list.
pub(super) fn ipaddr(value: &Value, query: &str, six: Option<bool>, alias: &str) -> R<Value> {
    if let Value::List(items) = value {
        let mut out = Vec::new();
        for item in items.iter() {
            let found = ipaddr(item, query, six, alias)?;
            if found.is_truthy() {
                out.push(found);
            }
        }
        return Ok(Value::list(out));
    }
    if !value.is_truthy() || *value == Value::Bool(true) {
        return Ok(NO);
    }
    let text = value.to_text();
    let Some((net, written, given)) = read(&text, six) else { return Ok(NO) };
    if six.is_some_and(|six| six != net.six) {
        return Ok(NO);
    }
    answer(net, written, &given, query, alias)
}

/// The same for a text.
pub(super) fn ask(text: &str, query: &str) -> R<Value> {
    ipaddr(&Value::str(text), query, None, "ipaddr")
}

/// Reads an address; the text is that of the answer "yes".
fn read(text: &str, six: Option<bool>) -> Option<(Network, Written, String)> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(text) {
        let number: u128 = text.parse().ok()?;
        let net = match six {
            Some(true) => Network { address: number, prefix: 128, six: true },
            _ => Network::of_number(number),
        };
        return Some((net, Written::Address, net.text()));
    }
    if let Some(net) = Network::parse(text) {
        let written = if text.contains('/') { Written::Network } else { Written::Address };
        return Some((net, written, text.to_string()));
    }
    // A number with a prefix.
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (address.trim().parse::<u128>().ok()?, prefix.trim().parse::<u32>().ok()?);
    let six = address > u128::from(u32::MAX) || prefix > 32;
    let net = Network { address, prefix, six };
    (prefix <= net.bits()).then(|| (net, Written::Network, net.text()))
}

/// Returns an address by its number, whatever kind of address that makes.
fn by_number(number: u128) -> Value {
    Value::str(Network::of_number(number).ip())
}

/// Returns a number; one that is too large for any is a text.
pub(super) fn integer(number: u128) -> Value {
    i128::try_from(number).map_or_else(|_| Value::str(number.to_string()), Value::Int)
}

fn first_last(net: Network) -> (u128, u128) {
    if net.is_larger_than(1) { (net.first() + 1, net.last() - 1) } else { (net.first(), net.last()) }
}

/// Returns whether an address at a distance from a network's own is one that hosts can have; nothing where there is none.
pub(super) fn usable(net: Network, offset: i128) -> R<Option<u128>> {
    if net.is_single() {
        return Ok(None);
    }
    let moved = net.address.checked_add_signed(offset);
    let moved = moved.ok_or_else(|| Fail::failed("failed to detect a valid IP address"))?;
    let (first, last) = first_last(net);
    Ok((first <= moved && moved <= last).then_some(moved))
}

fn answer(net: Network, written: Written, given: &str, query: &str, alias: &str) -> R<Value> {
    let text = |text: String| Ok(Value::str(text));
    let yes = || Ok(Value::str(given));
    let when = |holds: bool| Ok(if holds { Value::str(given) } else { Value::Null });
    let is_first = net.address == net.first();
    let (ip, whole) = (net.ip(), net.text());
    let needs_network = || match written {
        Written::Address => Err(Fail::failed("Not a network address")),
        Written::Network => Ok(()),
    };
    match query {
        "" if written == Written::Address => text(ip),
        "" | "cidr" => text(whole),
        "address" | "ip" if net.is_single() || net.six || !is_first || net.broadcast().is_none() => text(ip),
        "address" | "ip" => Ok(Value::Null),
        "address/prefix" | "gateway" | "gw" | "host/prefix" | "hostnet" | "router" => {
            let edge = is_first || net.broadcast() == Some(net.address);
            if net.is_larger_than(1) && edge { Ok(NO) } else { text(whole) }
        }
        "bool" => Ok(Value::Bool(true)),
        "broadcast" if net.is_larger_than(1) => text(net.show(net.last())),
        "broadcast" => Ok(Value::Null),
        "host" if net.is_single() || !is_first || net.broadcast().is_none() => text(whole),
        "host" => Ok(Value::Null),
        "hostmask" | "wildcard" => text(net.show(net.host_mask())),
        "netmask" => text(net.show(net.net_mask())),
        "int" if written == Written::Address => Ok(integer(net.address)),
        "int" => text(format!("{}/{}", net.address, net.prefix)),
        "ip/prefix" | "ip_netmask" => {
            let pair = net.bits() - net.prefix == 1;
            if pair || !net.is_single() && !is_first {
                return text(if query == "ip_netmask" {
                    format!("{ip} {}", net.show(net.net_mask()))
                } else {
                    whole
                });
            }
            Ok(Value::Null)
        }
        "ipv4" | "v4" if net.six => Ok(four_of(net).map_or(NO, Value::str)),
        "ipv6" | "v6" if !net.six => {
            let six = Network { address: 0xffff_0000_0000 + net.address, prefix: net.prefix + 96, six: true };
            text(six.text())
        }
        "ipv4" | "v4" | "ipv6" | "v6" => yes(),
        "link-local" => when(net.is_link_local()),
        "lo" | "loopback" => when(net.is_loopback()),
        "multicast" => when(net.is_multicast()),
        "unicast" => when(!net.is_multicast()),
        "private" => when(!net.is_global()),
        "public" => {
            let single = Network { prefix: net.bits(), ..net };
            when(!single.is_multicast() && net.is_global() && !net.is_loopback() && !net.is_mask())
        }
        "net" if !net.is_single() && is_first => text(whole),
        "net" => Ok(Value::Null),
        "network" | "network_id" => text(net.show(net.first())),
        "network/prefix" | "subnet" => text(net.cidr().text()),
        "network_netmask" => text(format!("{} {}", net.show(net.first()), net.show(net.net_mask()))),
        "network_wildcard" => text(format!("{} {}", net.show(net.first()), net.show(net.host_mask()))),
        "prefix" => Ok(Value::from(net.prefix)),
        "revdns" => text(net.reverse_name()),
        "size" => Ok(big(&net.size())),
        "size_usable" if net.is_single() => Ok(Value::Int(0)),
        "size_usable" if !net.is_larger_than(1) => Ok(Value::Int(2)),
        "size_usable" => Ok(integer(net.host_mask() - 1)),
        "type" => text(if net.is_single() || !is_first { "address" } else { "network" }.to_string()),
        "version" => Ok(Value::Int(if net.six { 6 } else { 4 })),
        "wrap" if net.six && written == Written::Address => text(format!("[{ip}]")),
        "wrap" if net.six => text(format!("[{ip}]/{}", net.prefix)),
        "wrap" => yes(),
        "6to4" => six_to_four(net, written, given),
        "first_usable" | "last_usable" | "range_usable" | "next_usable" | "previous_usable" | "peer" => {
            needs_network()?;
            usable_query(net, query)
        }
        _ => other(net, written, given, query, alias),
    }
}

fn big(digits: &str) -> Value {
    digits.parse().map_or_else(|_| Value::str(digits), Value::Int)
}

fn usable_query(net: Network, query: &str) -> R<Value> {
    let (first, last) = first_last(net);
    Ok(match query {
        "peer" => match net.bits() - net.prefix {
            1 => by_number(net.address ^ 1),
            2 if net.address.is_multiple_of(4) => {
                return Err(Fail::failed("Network address of /30 has no peer"));
            }
            2 if net.address % 4 == 3 => return Err(Fail::failed("Broadcast address of /30 has no peer")),
            2 => by_number(net.address ^ 3),
            _ => return Err(Fail::failed("Not a point-to-point network")),
        },
        _ if net.is_single() => Value::Null,
        "first_usable" => by_number(first),
        "last_usable" => by_number(last),
        "range_usable" => {
            Value::str(format!("{}-{}", Network::of_number(first).ip(), Network::of_number(last).ip()))
        }
        query => usable(net, if query == "next_usable" { 1 } else { -1 })?.map_or(Value::Null, by_number),
    })
}

/// Returns the IPv4 address that an IPv6 one holds.
fn four_of(net: Network) -> Option<String> {
    let prefix = net.prefix.checked_sub(96)?;
    let address = match net.address {
        low if low <= u128::from(u32::MAX) => low,
        mapped if mapped >> 32 == 0xffff => mapped & 0xffff_ffff,
        _ => return None,
    };
    Some(Network { address, prefix, six: false }.text())
}

fn six_to_four(net: Network, written: Written, given: &str) -> R<Value> {
    let is_first = net.address == net.first();
    if !net.six {
        let single = Network { prefix: 32, ..net };
        let public = !single.is_multicast() && net.is_global() && !net.is_loopback() && !net.is_mask();
        if !net.is_single() && is_first || !public && net.is_global() {
            return Ok(NO);
        }
        let [a, b, c, d] = (net.address as u32).to_be_bytes();
        return Ok(Value::str(format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1/48")));
    }
    let within = |net: Network| net.address >> 112 == 0x2002 && net.prefix >= 16;
    let holds = match written {
        Written::Address => within(net),
        Written::Network => !is_first && within(Network { prefix: 128, ..net }),
    };
    Ok(if holds { Value::str(given) } else { NO })
}

/// Answers queries that are a network around the address, or a number of an address in the network.
fn other(net: Network, written: Written, given: &str, query: &str, alias: &str) -> R<Value> {
    let is_digits = !query.is_empty() && query.bytes().all(|b| b.is_ascii_digit());
    if !is_digits && let Some(around) = Network::parse(query) {
        return Ok(if around.holds(net) { Value::str(given) } else { Value::Null });
    }
    if query.trim().parse::<f64>().is_err() {
        return Err(Fail::failed(format!("{alias}: unknown filter type: {query}")));
    }
    if net.is_single() {
        return Ok(Value::str(if written == Written::Address { net.ip() } else { net.text() }));
    }
    let Ok(index) = query.trim().parse::<i128>() else { return Ok(NO) };
    Ok(nth(net, index).map_or(NO, |address| Value::str(format!("{}/{}", net.show(address), net.prefix))))
}

/// Returns the address with a number in the network, from the end for negative ones.
pub(super) fn nth(net: Network, index: i128) -> Option<u128> {
    let distance = index.unsigned_abs();
    if index < 0 {
        return (distance - 1 <= net.host_mask()).then(|| net.last() - (distance - 1));
    }
    (distance <= net.host_mask()).then(|| net.first() + distance)
}

/// Returns a text as a network that other filters work with: with the address of an address, without that of a network.
pub(super) fn network_of(text: &str) -> R<Option<Network>> {
    let kind = ask(text, "type")?;
    let query = match kind.as_str() {
        Some("address") => "cidr",
        Some("network") => "subnet",
        _ => return Ok(None),
    };
    Ok(ask(text, query)?.as_str().and_then(Network::parse))
}

/// Returns a single address.
pub(super) fn address_of(text: &str) -> Option<Network> {
    let (address, six) = number(text)?;
    Some(Network { address, prefix: if six { 128 } else { 32 }, six })
}
