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
/// dead, is replaced, or has to make room. So is that of a well-known id, since nothing tells when it will be needed.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `Run` and `Dial`. Differs: there an address serves one dial, is dropped if the last one
/// was not fetched yet, and expires after 5 s.
#[derive(Debug)]
pub(super) struct Addresses {
    entries: HashMap<ServiceId, Entry>,
    unclaimed: Duration,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    endpoint: Result<Endpoint, EndpointError>,
    /// When it was announced or last dialled, as a number that counts up.
    last_use: u64,
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
        Self { entries: HashMap::new(), unclaimed, uses: 0 }
    }

    /// The peer says where a service is: the latest word counts.
    pub(super) fn announced(&mut self, id: ServiceId, network: &str, address: &str, now: Instant) {
        if self.entries.len() >= MAX_ADDRESSES && !self.entries.contains_key(&id) {
            self.make_room(now);
        }
        self.uses += 1;
        let entry = Entry {
            endpoint: Endpoint::parse(shorten(network, MAX_TEXT), shorten(address, MAX_TEXT)),
            last_use: self.uses,
            // A sum that no clock can show never comes.
            expires: if is_well_known(id) { None } else { now.checked_add(self.unclaimed) },
            was_claimed: false,
        };
        self.entries.insert(id, entry);
    }

    pub(super) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        let entry = self.entries.get_mut(&id)?;
        let expired = entry.is_expired(now);
        let claimed = Claimed { endpoint: entry.endpoint.clone(), again: entry.was_claimed };
        entry.was_claimed = true;
        self.uses += 1;
        entry.last_use = self.uses;
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

    /// Drops what has expired, and if that is nothing, the entry that will be missed least.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.is_expired(now));
        if self.entries.len() >= MAX_ADDRESSES {
            let least = self.entries.iter().min_by_key(|(id, entry)| (entry.worth(**id), entry.last_use));
            if let Some(id) = least.map(|(id, _)| *id) {
                self.entries.remove(&id);
            }
        }
    }
}

/// What is lost with an address, the least first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// A further dial of an id that was dialled: rare, since the channel that was made keeps the address.
    FurtherDial,
    /// The dial for which it was announced.
    FirstDial,
    /// Any dial, at any time.
    EveryDial,
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn worth(&self, id: ServiceId) -> Worth {
        if is_well_known(id) {
            Worth::EveryDial
        } else if self.was_claimed {
            Worth::FurtherDial
        } else {
            Worth::FirstDial
        }
    }
}

fn is_well_known(id: ServiceId) -> bool {
    id >= FIRST_WELL_KNOWN
}

/// Ids from here on are agreed upon beforehand, never counted: half of all there are.
pub(crate) const FIRST_WELL_KNOWN: ServiceId = ServiceId(0x8000_0000);

/// Addresses kept at once. Far more than a program dials, and some 300 KiB at worst.
pub(super) const MAX_ADDRESSES: usize = 1024;

/// Bytes of an address that are kept. The longest valid one is a host name of 253 characters and a port.
const MAX_TEXT: usize = 300;
