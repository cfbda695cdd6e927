//! Direct mode: the addresses that the peer has announced.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rpcplugin_core::{Endpoint, EndpointError, ServiceId};

use super::shorten;

/// The latest address of each service.
///
/// An address that nobody dials is kept for a while. One that was dialled is kept for further dials, until it proves
/// dead or is replaced. So is that of a well-known id, since nothing tells when it will be needed.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `Run` and `Dial`. Differs: there an address serves one dial, is dropped if the last one
/// was not fetched yet, and expires after 5 s.
#[derive(Debug)]
pub(super) struct Addresses {
    entries: HashMap<ServiceId, Entry>,
    unclaimed: Duration,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    endpoint: Result<Endpoint, EndpointError>,
    /// Counts up: the oldest is the first to go when there are too many.
    arrival: u64,
    expires: Option<Instant>,
    was_claimed: bool,
}

/// Where to dial a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The address, or why what the peer announced is none.
    pub(crate) endpoint: Result<Endpoint, EndpointError>,
    /// It has been dialled before, so its server may have ended since.
    pub(crate) again: bool,
}

impl Addresses {
    pub(super) fn new(unclaimed: Duration) -> Self {
        Self { entries: HashMap::new(), unclaimed, arrivals: 0 }
    }

    /// The peer says where a service is: the latest word counts.
    pub(super) fn announced(&mut self, id: ServiceId, network: &str, address: &str, now: Instant) {
        if self.entries.len() >= MAX_ADDRESSES && !self.entries.contains_key(&id) {
            self.make_room(now);
        }
        self.arrivals += 1;
        let well_known = id >= FIRST_WELL_KNOWN;
        let entry = Entry {
            endpoint: Endpoint::parse(shorten(network, MAX_TEXT), shorten(address, MAX_TEXT)),
            arrival: self.arrivals,
            // A sum that no clock can show never comes.
            expires: if well_known { None } else { now.checked_add(self.unclaimed) },
            was_claimed: false,
        };
        self.entries.insert(id, entry);
    }

    pub(super) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        let entry = self.entries.get_mut(&id)?;
        let expired = entry.is_expired(now);
        let claimed = Claimed { endpoint: entry.endpoint.clone(), again: entry.was_claimed };
        entry.was_claimed = true;
        entry.expires = None;
        if expired || claimed.endpoint.is_err() {
            self.entries.remove(&id);
        }
        (!expired).then_some(claimed)
    }

    /// Drops an address, unless another has taken its place.
    pub(super) fn forget(&mut self, id: ServiceId, endpoint: &Endpoint) {
        if self.entries.get(&id).is_some_and(|entry| entry.endpoint.as_ref() == Ok(endpoint)) {
            self.entries.remove(&id);
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Drops what has expired, and if that is nothing, the oldest: first of those that nobody has dialled.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.is_expired(now));
        if self.entries.len() >= MAX_ADDRESSES {
            let oldest =
                self.entries.iter().min_by_key(|(_, entry)| (entry.expires.is_none(), entry.arrival));
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.entries.remove(&id);
            }
        }
    }
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Ids from here on are agreed upon beforehand, never counted: half of all there are.
pub(crate) const FIRST_WELL_KNOWN: ServiceId = ServiceId(0x8000_0000);

/// Addresses kept at once. Far more than a program dials, and some 300 KiB at worst.
pub(super) const MAX_ADDRESSES: usize = 1024;

/// Bytes of an address that are kept. The longest valid one is a host name of 253 characters and a port.
const MAX_TEXT: usize = 300;
