//! The processes that listen at TCP ports.
#![expect(unsafe_code, reason = "the standard library does not know who listens at a port")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rpcplugin_core::{Endpoint, HostPort, Pid};
use windows_sys::Win32::{
    Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR},
    NetworkManagement::IpHelper::{GetExtendedTcpTable, TCP_TABLE_OWNER_PID_LISTENER},
};

/// Whether this process listens at the endpoint, which has to be on this machine. False if that is unknown.
pub(super) fn listens(pid: Pid, endpoint: &Endpoint) -> bool {
    let Endpoint::Tcp(address) = endpoint else { return false };
    let listeners: Vec<_> = listeners().filter(|listener| listener.port == address.port()).collect();
    let pids = |is_meant: &dyn Fn(IpAddr) -> bool| -> Vec<u32> {
        listeners.iter().filter(|listener| is_meant(listener.ip)).map(|listener| listener.pid).collect()
    };
    let ip = ip_of(address);
    // A listener at the very address takes the connections, and not one at all addresses.
    let mut found = pids(&|listening| Some(listening) == ip);
    if found.is_empty() && ip.is_some_and(|ip| ip.is_loopback()) {
        found = pids(&|listening| listening.is_unspecified());
    }
    found.contains(&pid.get())
}

fn ip_of(address: &HostPort) -> Option<IpAddr> {
    match address.host() {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        host => host.parse().ok(),
    }
}

/// A socket that listens.
struct Listener {
    ip: IpAddr,
    port: u16,
    pid: u32,
}

fn listeners() -> impl Iterator<Item = Listener> {
    rows::<ROW_OF_IPV4>(AF_INET)
        .into_iter()
        .map(of_ipv4)
        .chain(rows::<ROW_OF_IPV6>(AF_INET6).into_iter().map(of_ipv6))
}

/// A row of state, address, port, peer's address, peer's port, pid.
fn of_ipv4(row: [u32; ROW_OF_IPV4]) -> Listener {
    Listener { ip: Ipv4Addr::from(row[1].to_ne_bytes()).into(), port: port(row[2]), pid: row[5] }
}

/// A row of address, scope, port, peer's address, peer's scope, peer's port, state, pid.
fn of_ipv6(row: [u32; ROW_OF_IPV6]) -> Listener {
    let mut ip = [0; 16];
    for (bytes, word) in ip.chunks_exact_mut(4).zip(row) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Listener { ip: Ipv6Addr::from(ip).into(), port: port(row[5]), pid: row[13] }
}

/// The port in the first two bytes, in the order of the network.
fn port(word: u32) -> u16 {
    let [high, low, ..] = word.to_ne_bytes();
    u16::from_be_bytes([high, low])
}

/// The rows of a table of listeners: after the number of rows, each of so many words. Empty if the table cannot be read.
fn rows<const WORDS: usize>(family: u32) -> Vec<[u32; WORDS]> {
    let table = table(family).unwrap_or_default();
    let Some((count, rows)) = table.split_first() else { return Vec::new() };
    rows.as_chunks().0.iter().copied().take(*count as usize).collect()
}

/// The table of the sockets of a family that listen. It may grow while it is read.
fn table(family: u32) -> Option<Vec<u32>> {
    let mut words = vec![0u32; 1024];
    for _ in 0..8 {
        let mut size = u32::try_from(size_of_val(&*words)).ok()?;
        // SAFETY: the buffer has the size that is given, and the function writes no more.
        let read = unsafe {
            let buffer = words.as_mut_ptr().cast();
            GetExtendedTcpTable(buffer, &raw mut size, 0, family, TCP_TABLE_OWNER_PID_LISTENER, 0)
        };
        match read {
            NO_ERROR => return Some(words),
            ERROR_INSUFFICIENT_BUFFER => words = vec![0; (size as usize).div_ceil(size_of::<u32>()) + 256],
            _ => return None,
        }
    }
    None
}

const AF_INET: u32 = 2;
const AF_INET6: u32 = 23;

/// The words of a `MIB_TCPROW_OWNER_PID` and of a `MIB_TCP6ROW_OWNER_PID`.
const ROW_OF_IPV4: usize = 6;
const ROW_OF_IPV6: usize = 14;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_that_listens_on_a_port_is_found() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // There may be no IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let endpoint = Endpoint::Tcp(listener.local_addr().expect("bound").into());
            assert!(listens(Pid::current(), &endpoint), "{address}");
            assert!(!listens(Pid::new(4).expect("not 0"), &endpoint), "{address}");
            drop(listener);
            assert!(!listens(Pid::current(), &endpoint), "{address}");
        }
    }
}
