//! Direct mode: the addresses that the peer has announced.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rpcplugin_core::{Endpoint, EndpointError, ServiceId};

use super::{LinkId, shorten};

/// The latest address of each service, of each peer that has one. A plugin may have two hosts for a while, and both may
/// count from 1: the latest word counts, and the other's again when that peer has gone.
///
/// An address that nobody dials is kept for a while. One that was dialled is kept for further dials, until it proves
/// dead, is replaced, or has to make room. So is that of a well-known id, since nothing tells when it will be needed.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `Run` and `Dial`. Differs: there an address serves one dial, is dropped if the last one
/// was not fetched yet, and expires after 5 s.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Those of one id in the order in which they were announced.
    entries: HashMap<ServiceId, Vec<Entry>>,
    count: usize,
    unclaimed: Duration,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    link: LinkId,
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
        Self { entries: HashMap::new(), count: 0, unclaimed, uses: 0 }
    }

    /// The peer on this link says where a service is.
    pub(super) fn announced(
        &mut self,
        link: LinkId,
        id: ServiceId,
        network: &str,
        address: &str,
        now: Instant,
    ) {
        self.retain_of(id, |entry| entry.link != link);
        if self.count >= MAX_ADDRESSES {
            self.make_room(now);
        }
        self.uses += 1;
        let entry = Entry {
            link,
            endpoint: Endpoint::parse(shorten(network, MAX_TEXT), shorten(address, MAX_TEXT)),
            last_use: self.uses,
            // A sum that no clock can show never comes.
            expires: if is_well_known(id) { None } else { now.checked_add(self.unclaimed) },
            was_claimed: false,
        };
        self.entries.entry(id).or_default().push(entry);
        self.count += 1;
    }

    pub(super) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        self.retain_of(id, |entry| !entry.is_expired(now));
        let entry = self.entries.get_mut(&id)?.last_mut()?;
        let claimed = Claimed { endpoint: entry.endpoint.clone(), again: entry.was_claimed };
        entry.was_claimed = true;
        self.uses += 1;
        entry.last_use = self.uses;
        entry.expires = None;
        if claimed.endpoint.is_err() {
            let used = entry.last_use;
            self.retain_of(id, |entry| entry.last_use != used);
        }
        Some(claimed)
    }

    /// Drops an address, unless another has taken its place.
    pub(super) fn forget(&mut self, id: ServiceId, endpoint: &Endpoint) {
        self.retain_of(id, |entry| entry.endpoint.as_ref() != Ok(endpoint));
    }

    /// The peer on this link has gone, while others are there.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        self.retain(|_, entry| entry.link != link);
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    /// Drops what has expired, and if that is nothing, the entry that will be missed least.
    fn make_room(&mut self, now: Instant) {
        self.retain(|_, entry| !entry.is_expired(now));
        if self.count >= MAX_ADDRESSES {
            let all = self.entries.iter().flat_map(|(id, of_id)| of_id.iter().map(move |entry| (*id, entry)));
            let least = all.map(|(id, entry)| (entry.worth(id), entry.last_use, id)).min();
            if let Some((_, last_use, id)) = least {
                self.retain_of(id, |entry| entry.last_use != last_use);
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(&ServiceId, &Entry) -> bool) {
        self.entries.retain(|id, of_id| {
            of_id.retain(|entry| keep(id, entry));
            !of_id.is_empty()
        });
        self.count = self.entries.values().map(Vec::len).sum();
    }

    fn retain_of(&mut self, id: ServiceId, keep: impl Fn(&Entry) -> bool) {
        let Some(of_id) = self.entries.get_mut(&id) else { return };
        let before = of_id.len();
        of_id.retain(keep);
        self.count -= before - of_id.len();
        if of_id.is_empty() {
            self.entries.remove(&id);
        }
    }
}

/// Which dials are lost with an address, the least first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// A further dial of an id that was dialled: rare, since the channel that was made keeps the address.
    Further,
    /// The dial for which it was announced.
    First,
    /// Any dial, at any time.
    Every,
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn worth(&self, id: ServiceId) -> Worth {
        if is_well_known(id) {
            Worth::Every
        } else if self.was_claimed {
            Worth::Further
        } else {
            Worth::First
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
