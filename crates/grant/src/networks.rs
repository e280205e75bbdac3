//! `PROFILE_TRACE_ALLOW`: where requests must come from.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::GrantError;

/// What stands for clients of a Unix socket, which have no address.
const UNIX: &str = "unix";

/// Networks, IPv4 and IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    networks: Vec<IpNet>,
    unix: bool,
}

/// Who is at the other end of a connection, as the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer<'a> {
    /// Somebody with an address.
    Address(&'a str),
    /// The server says nothing: a client of a Unix socket.
    Unknown,
}

impl<'a> Peer<'a> {
    /// By what a server says; servers write an empty text, too, where there is no address.
    pub fn of(said: &'a str) -> Self {
        if said.is_empty() { Self::Unknown } else { Self::Address(said) }
    }
}

impl Networks {
    /// Reads a list: addresses and networks (`10.0.0.0/8`, `::1`), separated by commas or white space; `unix`.
    pub fn parse(list: &str) -> Result<Self, GrantError> {
        let mut found = Self { networks: Vec::new(), unix: false };
        for part in list.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()) {
            if part == UNIX {
                found.unix = true;
            } else {
                let network = network(part).ok_or_else(|| GrantError::Network { text: part.to_owned() })?;
                found.networks.push(network);
            }
        }
        if found.networks.is_empty() && !found.unix {
            return Err(GrantError::Network { text: list.to_owned() });
        }
        Ok(found)
    }

    /// Whether somebody comes from one of them. An address that can't be read does not.
    pub fn contain(&self, peer: Peer<'_>) -> bool {
        let Peer::Address(text) = peer else { return self.unix };
        // A link-local address comes with its interface.
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        // A socket of IPv6 that takes IPv4, too, shows those as ::ffff:10.0.0.1.
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().ok()?,
    };
    Some(canonical(network))
}

/// A network of mapped addresses is one of IPv4, because peers are looked for by their canonical addresses.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(mapped) = network else { return network };
    let address: Ipv6Addr = mapped.addr();
    match (address.to_ipv4_mapped(), mapped.prefix_len().checked_sub(MAPPED)) {
        (Some(address), Some(length)) => Ipv4Net::new(address, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_of_both_kinds() {
        let networks = Networks::parse("10.0.0.0/8, 192.0.2.7 2001:db8::/32,::1").unwrap();
        for inside in [
            "10.255.0.1",
            "192.0.2.7",
            "2001:db8:1::2",
            "::1",
            "::ffff:10.1.2.3",
            "2001:0DB8::1",
            "2001:db8::1%eth0",
        ] {
            assert!(networks.contain(Peer::of(inside)), "{inside}");
        }
        for outside in [
            "11.0.0.1",
            "192.0.2.8",
            "2001:db9::1",
            "::2",
            "::ffff:11.1.2.3",
            "",
            "10.0.0.1, 192.0.2.1",
            "10.0.0.1:80",
            "010.0.0.1",
            "localhost",
            "10.0.0.1\n",
            "%",
        ] {
            assert!(!networks.contain(Peer::of(outside)), "{outside}");
        }
    }

    #[test]
    fn a_network_may_be_written_with_an_address_of_it() {
        assert!(Networks::parse("10.1.2.3/8").unwrap().contain(Peer::of("10.200.0.1")));
        assert!(Networks::parse("::ffff:10.0.0.0/104").unwrap().contain(Peer::of("10.200.0.1")));
    }

    #[test]
    fn clients_of_a_unix_socket_are_named() {
        assert!(Networks::parse("unix").unwrap().contain(Peer::of("")));
        assert!(!Networks::parse("unix").unwrap().contain(Peer::of("127.0.0.1")));
        assert!(!Networks::parse("0.0.0.0/0, ::/0").unwrap().contain(Peer::Unknown));
    }

    #[test]
    fn what_is_none_is_named() {
        for (list, wrong) in
            [("10.0.0.0/8, inside", "inside"), ("10.0.0.0/33", "10.0.0.0/33"), (" , ", " , "), ("", "")]
        {
            let error = Networks::parse(list).unwrap_err();
            assert_eq!(error, GrantError::Network { text: wrong.to_owned() });
        }
    }
}
