//! Addresses with the network around them, read and written as the library netaddr does it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the network around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub address: u128,
    pub prefix: u32,
    pub six: bool,
}

/// IPv4 blocks that are not reached from everywhere (IANA's registry of special addresses), and exceptions.
const CLOSED_4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
];
const OPEN_4: [&str; 2] = ["192.0.0.9/32", "192.0.0.10/32"];
const CLOSED_6: [&str; 10] = [
    "::1/128",
    "::/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
];
const OPEN_6: [&str; 6] =
    ["2001:1::1/128", "2001:1::2/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"];

impl Network {
    /// Reads an address, alone or with a prefix, netmask or hostmask.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
        let (address, six) = number(address)?;
        let bits = if six { 128 } else { 32 };
        let prefix = match mask {
            None => bits,
            Some(mask) => match mask.trim().parse::<u32>() {
                Ok(prefix) => prefix,
                Err(_) => prefix_of_mask(mask, six)?,
            },
        };
        (prefix <= bits).then_some(Network { address, prefix, six })
    }

    /// Returns a single address of the kind that its number needs.
    pub fn of_number(number: u128) -> Self {
        let six = number > u128::from(u32::MAX);
        Network { address: number, prefix: if six { 128 } else { 32 }, six }
    }

    pub fn bits(self) -> u32 {
        if self.six { 128 } else { 32 }
    }

    fn full(self) -> u128 {
        if self.six { u128::MAX } else { u128::from(u32::MAX) }
    }

    /// The bits of the host part.
    pub fn host_mask(self) -> u128 {
        match self.bits() - self.prefix {
            128 => u128::MAX,
            n => (1u128 << n) - 1,
        }
    }

    pub fn net_mask(self) -> u128 {
        self.full() & !self.host_mask()
    }

    pub fn first(self) -> u128 {
        self.address & self.net_mask()
    }

    pub fn last(self) -> u128 {
        self.first() | self.host_mask()
    }

    /// Whether it holds one address only.
    pub fn is_single(self) -> bool {
        self.prefix == self.bits()
    }

    /// Whether it holds more addresses than a number of bits can count.
    pub fn is_larger_than(self, bits: u32) -> bool {
        self.bits() - self.prefix > bits
    }

    /// Returns the number of addresses as text: it may be too large for a number.
    pub fn size(self) -> String {
        match self.host_mask().checked_add(1) {
            Some(size) => size.to_string(),
            None => "340282366920938463463374607431768211456".to_string(),
        }
    }

    /// Returns the last address where it is one for all hosts.
    pub fn broadcast(self) -> Option<u128> {
        (self.six || self.is_larger_than(1)).then(|| self.last())
    }

    /// Returns the network with its first address.
    pub fn cidr(self) -> Self {
        Network { address: self.first(), ..self }
    }

    /// Returns an address of this kind as text.
    pub fn show(self, address: u128) -> String {
        if self.six { show_six(address) } else { Ipv4Addr::from((address & 0xffff_ffff) as u32).to_string() }
    }

    /// Returns the address alone.
    pub fn ip(self) -> String {
        self.show(self.address)
    }

    /// Returns address and prefix.
    pub fn text(self) -> String {
        format!("{}/{}", self.ip(), self.prefix)
    }

    /// Whether another network lies within this one.
    pub fn holds(self, other: Network) -> bool {
        self.six == other.six
            && self.prefix <= other.prefix
            && self.first() == Network { prefix: self.prefix, ..other }.first()
    }

    fn is_in(self, blocks: &[&str]) -> bool {
        let single = Network { prefix: self.bits(), ..self };
        blocks.iter().filter_map(|block| Network::parse(block)).any(|block| block.holds(single))
    }

    /// Whether the address can be reached from everywhere.
    pub fn is_global(self) -> bool {
        let (closed, open) =
            if self.six { (&CLOSED_6[..], &OPEN_6[..]) } else { (&CLOSED_4[..], &OPEN_4[..]) };
        !self.is_in(closed) || self.is_in(open)
    }

    /// Whether all of the network is for groups of hosts.
    pub fn is_multicast(self) -> bool {
        ["224.0.0.0/4", "ff00::/8"]
            .iter()
            .filter_map(|block| Network::parse(block))
            .any(|block| block.holds(self))
    }

    pub fn is_loopback(self) -> bool {
        self.is_in(&["127.0.0.0/8", "::1/128"])
    }

    pub fn is_link_local(self) -> bool {
        self.is_in(&["169.254.0.0/16", "fe80::/10"])
    }

    /// Whether the address has the form of a netmask or of a hostmask.
    pub fn is_mask(self) -> bool {
        let net = (self.address ^ self.full()).wrapping_add(1);
        let host = self.address.wrapping_add(1);
        net & net.wrapping_sub(1) == 0 || host & host.wrapping_sub(1) == 0
    }

    /// Returns the name by which the address is looked up backwards.
    pub fn reverse_name(self) -> String {
        if self.six {
            let digits: Vec<String> =
                format!("{:032x}", self.address).chars().rev().map(|c| c.to_string()).collect();
            return digits.join(".") + ".ip6.arpa.";
        }
        let [a, b, c, d] = Ipv4Addr::from(self.address as u32).octets();
        format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
    }
}

/// Reads an address as a number; tells whether it is an IPv6 one.
pub(super) fn number(text: &str) -> Option<(u128, bool)> {
    Some(match text.parse().ok()? {
        IpAddr::V4(a) => (u128::from(u32::from(a)), false),
        IpAddr::V6(a) => (u128::from(a), true),
    })
}

fn prefix_of_mask(mask: &str, six: bool) -> Option<u32> {
    let (mask, mask_six) = number(mask)?;
    if mask_six != six {
        return None;
    }
    let bits = if six { 128 } else { 32 };
    // All the ones first, or, of a hostmask, last.
    let shifted = if six { mask } else { mask << 96 };
    let ones = shifted.leading_ones();
    if ones + mask.trailing_zeros().min(bits - ones) == bits {
        return Some(ones);
    }
    (mask & mask.wrapping_add(1) == 0).then(|| bits - mask.count_ones())
}

/// Returns an IPv6 address as C libraries write it: with an IPv4 address at the end of those that hold one.
fn show_six(address: u128) -> String {
    let segments = Ipv6Addr::from(address).segments();
    if segments[..6] == [0; 6] && segments[6] != 0 {
        return format!("::{}", Ipv4Addr::from(address as u32));
    }
    Ipv6Addr::from(address).to_string()
}
