//! Addresses and networks: the `ipaddr` family of ansible.utils.
//!
//! `address` reads and writes networks, `query` answers `ipaddr`'s questions, `hardware` is about MAC addresses. What the
//! collection's Python answers is the measure, oddities included (`tests/conformance/ipaddr.json`).

mod address;
mod hardware;
mod query;

use super::Filter::{self, Plain};
use crate::template::args::{ValueArgs, int, need, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::Value;

use address::Network;
use query::{address_of, ask, ipaddr, network_of, nth, usable};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("ipaddr", Plain(|_, v, a| family(v, a, None, "ipaddr"))),
    ("ipv4", Plain(|_, v, a| family(v, a, Some(false), "ipv4"))),
    ("ipv6", Plain(|_, v, a| family(v, a, Some(true), "ipv6"))),
    ("ipwrap", Plain(ipwrap)),
    ("ipsubnet", Plain(ipsubnet)),
    ("ipmath", Plain(ipmath)),
    ("nthhost", Plain(nthhost)),
    ("next_nth_usable", Plain(|_, v, a| nth_usable(v, a, 1))),
    ("previous_nth_usable", Plain(|_, v, a| nth_usable(v, a, -1))),
    ("network_in_network", Plain(|_, v, a| in_network(v, a, ["network", "broadcast"]))),
    ("network_in_usable", Plain(|_, v, a| in_network(v, a, ["first_usable", "last_usable"]))),
    ("reduce_on_network", Plain(reduce_on_network)),
    ("cidr_merge", Plain(cidr_merge)),
    ("ip4_hex", Plain(ip4_hex)),
    ("hwaddr", Plain(|_, v, a| hardware::filter(v, a, "hwaddr"))),
    ("macaddr", Plain(|_, v, a| hardware::filter(v, a, "macaddr"))),
    ("slaac", Plain(slaac)),
];

fn kind_of(v: &Value) -> String {
    v.type_name().to_string()
}

fn family(v: Value, args: ValueArgs, six: Option<bool>, alias: &str) -> R<Value> {
    let [query, version, other] = args.bind(["query", "version", "alias"])?;
    if !matches!(v, Value::Str(_) | Value::List(_) | Value::Int(_) | Value::Bool(_)) {
        let kind = if v.is_null() { "NoneType".to_string() } else { kind_of(&v) };
        return Err(Fail::failed(format!("Unrecognized type <<class '{kind}'>> for {alias} filter <value>")));
    }
    let six = match version.map(|version| int(&version, "version")).transpose()? {
        Some(4) => Some(false),
        Some(6) => Some(true),
        _ => six,
    };
    ipaddr(&v, &text_or(query, ""), six, &text_or(other, alias))
}

/// Puts brackets around IPv6 addresses, as URLs want them.
fn ipwrap(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [query] = args.bind(["query"])?;
    let query = text_or(query, "");
    let wrapped = |value: &Value, inner: &Value| {
        ipaddr(inner, "wrap", None, "ipwrap").unwrap_or_else(|_| value.clone())
    };
    match &v {
        Value::List(items) => {
            let one = |item: &Value| match ipaddr(item, &query, None, "ipwrap") {
                Ok(found) if found.is_truthy() => wrapped(item, item),
                _ => item.clone(),
            };
            Ok(Value::list(items.iter().map(one).collect()))
        }
        Value::Str(_) | Value::Bool(_) => Ok(match ipaddr(&v, &query, None, "ipwrap") {
            Ok(found) if found.is_truthy() => wrapped(&v, &found),
            _ => v.clone(),
        }),
        other => {
            let kind = if other.is_null() { "NoneType".to_string() } else { kind_of(other) };
            Err(Fail::failed(format!("Unrecognized type <<class '{kind}'>> for ipwrap filter <value>")))
        }
    }
}

/// Returns networks inside of a network, or the place of a network inside of another one.
fn ipsubnet(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [query, index] = args.bind(["query", "index"])?;
    let no = Ok(Value::Bool(false));
    let Some(net) = network_of(&v.to_text())?.map(Network::cidr) else { return no };
    let query = text_or(query, "");
    if query.is_empty() {
        return Ok(Value::str(net.text()));
    }
    let bits = net.bits();
    if !query.bytes().all(|b| b.is_ascii_digit()) {
        return place_in(net, &query);
    }
    let Some(wanted) = query.parse::<u32>().ok().filter(|wanted| *wanted <= bits) else { return no };
    let index = index.map(|index| int(&index, "index")).transpose()?;
    if net.is_single() {
        let index = index.unwrap_or(0);
        if index > i128::from(bits) + 1 - index || index < i128::from(wanted) - i128::from(bits) {
            return no;
        }
        // The networks around an address, from the largest on.
        let count = i128::from(bits - wanted);
        let at = if index < 0 { index + count } else { index };
        let prefix = u32::try_from(at).ok().filter(|at| i128::from(*at) < count).map(|at| wanted + at);
        let prefix = prefix.ok_or_else(|| Fail::failed("list index out of range"))?;
        return Ok(Value::str(Network { prefix, ..net }.cidr().text()));
    }
    let Some(index) = index else {
        let Some(more) = wanted.checked_sub(net.prefix) else {
            return Err(Fail::failed(format!("Requested subnet size of {wanted} is invalid")));
        };
        return Ok(Value::str(Network { address: 0, prefix: bits - more, ..net }.size()));
    };
    let counted =
        wanted.checked_sub(net.prefix).map(|more| Network { address: 0, prefix: bits - more, ..net });
    // Of networks that are larger there is a part of one, which counts as the first.
    let at = match counted {
        Some(counted) => nth(counted, index),
        None => (index == 0).then_some(0),
    };
    let Some(at) = at else { return no };
    let address = net.first() + if wanted == 0 { 0 } else { at << (bits - wanted) };
    let text = format!("{}/{wanted}", Network::of_number(address).ip());
    let found = Network::parse(&text).ok_or_else(|| Fail::failed(format!("invalid IPNetwork {text}")))?;
    Ok(Value::str(found.text()))
}

/// Returns the number of a network among those of its size in another one, from one on.
fn place_in(net: Network, query: &str) -> R<Value> {
    let around = network_of(query)?.ok_or_else(|| {
        Fail::failed(format!("You must pass a valid subnet or IP address; {query} is invalid"))
    })?;
    let bits = net.bits();
    if around.prefix > bits {
        return Err(Fail::failed("negative shift count"));
    }
    let shifted = |address: u128| address.checked_shr(bits - around.prefix).unwrap_or(0);
    if shifted(net.address) != shifted(around.address) {
        return Err(Fail::failed(format!(
            "{} is not in the subnet {}",
            net.cidr().text(),
            around.cidr().text()
        )));
    }
    let Some(more) = net.prefix.checked_sub(around.prefix) else {
        return Err(Fail::failed("unsupported operand type(s) for <<: 'float' and 'int'"));
    };
    let ones = if more == 0 { 0 } else { u128::MAX >> (128 - more) };
    let place = net.address.checked_shr(bits - net.prefix).unwrap_or(0) & ones;
    Ok(Value::str((place + 1).to_string()))
}

fn ipmath(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [amount] = args.bind(["amount"])?;
    let text = v.to_text();
    let found = if text.contains('/') { Network::parse(&text) } else { address_of(&text) };
    let net =
        found.ok_or_else(|| Fail::failed(format!("You must pass a valid IP address; {text} is invalid")))?;
    let amount = int(&need(amount, "amount")?, "amount")?;
    let moved =
        net.address.checked_add_signed(amount).filter(|moved| net.six || *moved <= u128::from(u32::MAX));
    let moved = moved.ok_or_else(|| Fail::failed("result outside valid IP address boundary!"))?;
    Ok(Value::str(net.show(moved)))
}

fn nthhost(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [query] = args.bind(["query"])?;
    let no = Ok(Value::Bool(false));
    let Ok(Some(net)) = network_of(&v.to_text()) else { return no };
    let Ok(index) = text_or(query, "").trim().parse::<i128>() else { return no };
    if index >= 0 && index.unsigned_abs() > net.host_mask() {
        return no;
    }
    let found = nth(net, index).ok_or_else(|| Fail::failed("index out range for address range size!"))?;
    Ok(Value::str(net.show(found)))
}

fn nth_usable(v: Value, args: ValueArgs, direction: i128) -> R<Value> {
    let [offset] = args.bind(["offset"])?;
    let offset = int(&need(offset, "offset")?, "offset")?;
    let Ok(Some(net)) = network_of(&v.to_text()) else { return Ok(Value::Bool(false)) };
    let found = usable(net, offset.saturating_mul(direction))?;
    Ok(found.map_or(Value::Null, |number| Value::str(Network::of_number(number).ip())))
}

/// Returns the numbers between which a network lies; zero where there is none, as comparing with false does.
fn bounds(text: &str, queries: [&str; 2]) -> R<[u128; 2]> {
    let network = match ask(text, "type") {
        Ok(kind) if kind.is_truthy() => ask(text, "subnet").unwrap_or(Value::Bool(false)),
        _ => Value::Bool(false),
    };
    let mut out = [0; 2];
    for (slot, query) in out.iter_mut().zip(queries) {
        let mut found = ipaddr(&network, query, None, "ipaddr")?;
        if !found.is_truthy() {
            found = ipaddr(&network, "address", None, "ipaddr")?;
        }
        if let Some(net) = found.as_str().and_then(address_of) {
            *slot = net.address;
        }
    }
    Ok(out)
}

const WHOLE: [&str; 2] = ["network", "broadcast"];

fn in_network(v: Value, args: ValueArgs, queries: [&str; 2]) -> R<Value> {
    let [test] = args.bind(["test"])?;
    let [first, last] = bounds(&v.to_text(), queries)?;
    let inner = bounds(&text_or(test, ""), WHOLE)?;
    Ok(Value::Bool(inner.iter().all(|number| first <= *number && *number <= last)))
}

fn reduce_on_network(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [network] = args.bind(["network"])?;
    let [first, last] = bounds(&text_or(network, ""), WHOLE)?;
    let items = match &v {
        Value::List(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut out = Vec::new();
    for item in items {
        if bounds(&item.to_text(), WHOLE)?.iter().all(|number| first <= *number && *number <= last) {
            out.push(item);
        }
    }
    Ok(Value::list(out))
}

fn cidr_merge(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [action] = args.bind(["action"])?;
    let items = match &v {
        Value::List(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut nets = Vec::new();
    for item in &items {
        let text = item.to_text();
        let net = Network::parse(&text).ok_or_else(|| {
            Fail::failed(format!("cidr_merge: error in netaddr:\ninvalid IPNetwork {text}"))
        })?;
        nets.push(net);
    }
    match text_or(action, "merge").as_str() {
        "merge" => Ok(Value::list(merged(nets).into_iter().map(|net| Value::str(net.text())).collect())),
        "span" => {
            let (Some(first), Some(last)) =
                (nets.iter().map(|n| n.first()).min(), nets.iter().map(|n| n.last()).max())
            else {
                return Ok(Value::Null);
            };
            let Some(some) = nets.first().filter(|some| nets.iter().all(|net| net.six == some.six)) else {
                return Err(Fail::failed(
                    "cidr_merge: error in netaddr:\nIP sequence cannot contain both IPv4 and IPv6!",
                ));
            };
            if nets.len() == 1 {
                return Ok(Value::str(some.text()));
            }
            let prefix = (first ^ last).leading_zeros() - (128 - some.bits());
            Ok(Value::str(Network { address: first, prefix, six: some.six }.cidr().text()))
        }
        other => Err(Fail::failed(format!("cidr_merge: invalid action '{other}'"))),
    }
}

/// Returns the fewest networks that hold the same addresses, in order; one that needs nothing else stays as it was written.
fn merged(mut nets: Vec<Network>) -> Vec<Network> {
    nets.sort_by_key(|net| (net.six, net.first(), net.prefix));
    let mut out: Vec<Network> = Vec::new();
    for net in nets {
        if let Some(last) = out.last_mut().filter(|last| last.holds(net)) {
            *last = last.cidr();
            continue;
        }
        out.push(net);
        // Two halves become one.
        while let [.., left, right] = out[..] {
            let whole = Network { prefix: left.prefix.saturating_sub(1), ..left }.cidr();
            if left.prefix == 0
                || left.prefix != right.prefix
                || whole.first() != left.first()
                || !whole.holds(right)
            {
                break;
            }
            out.truncate(out.len() - 2);
            out.push(whole);
        }
    }
    out
}

fn ip4_hex(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [delimiter] = args.bind(["delimiter"])?;
    let text = v.to_text();
    let net = address_of(&text).filter(|net| !net.six);
    let net =
        net.ok_or_else(|| Fail::failed(format!("You must pass a valid IP address; {text} is invalid")))?;
    let parts: Vec<String> =
        (net.address as u32).to_be_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Value::str(parts.join(&text_or(delimiter, ""))))
}

/// Returns the address that a host makes for itself in a network.
fn slaac(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [query] = args.bind(["query"])?;
    let no = Ok(Value::Bool(false));
    let Ok(Some(net)) = network_of(&v.to_text()) else { return no };
    let Some(mac) = hardware::parse(&text_or(query, "")).filter(|_| net.six) else { return no };
    let identifier = (mac >> 24 << 40 | 0xff_fe00_0000 | mac & 0xff_ffff) ^ 1 << 57;
    Ok(Value::str(net.show(net.first() + u128::from(identifier))))
}
