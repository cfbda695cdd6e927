//! Direct mode: the addresses that the peer has announced.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rpcplugin_core::{Endpoint, EndpointError, ServiceId};

use super::{link::LinkId, message::shorten};
use crate::ids::is_well_known;

/// The latest address of each service, for each peer. A plugin may have two hosts for a while, and both may count from 1:
/// the latest announcement counts. When that peer is gone, the other peer's counts again.
///
/// An address that is not dialled expires. An address that was dialled is kept for further dials, until it proves dead, is
/// replaced, or has to make room. So is the address of a well-known id, because it may be needed at any time.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `Run` and `Dial`. Differs: there an address serves one dial, is dropped if the last one
/// was not fetched yet, and expires after 5 s.
#[derive(Debug)]
pub(super) struct Addresses {
    /// The addresses of each id, in the order of their announcements.
    entries: HashMap<ServiceId, Vec<Entry>>,
    count: usize,
    unused_timeout: Duration,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    link: LinkId,
    endpoint: Result<Endpoint, EndpointError>,
    /// When it was announced or last dialled, as a number that counts up.
    last_use: u64,
    expires: Option<Instant>,
    was_dialled: bool,
}

/// Where to dial a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The address, or why the announced text is not an address.
    pub(crate) endpoint: Result<Endpoint, EndpointError>,
    /// The address has been dialled before, so its server may have ended since.
    pub(crate) dialled_before: bool,
}

impl Addresses {
    pub(super) fn new(unused_timeout: Duration) -> Self {
        Self { entries: HashMap::new(), count: 0, unused_timeout, uses: 0 }
    }

    /// Keeps the address that the peer on this link has announced.
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
            // An address whose expiry the clock cannot represent does not expire.
            expires: if is_well_known(id) { None } else { now.checked_add(self.unused_timeout) },
            was_dialled: false,
        };
        self.entries.entry(id).or_default().push(entry);
        self.count += 1;
    }

    /// Returns the address to dial, and notes that it is dialled.
    pub(super) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        self.retain_of(id, |entry| !entry.is_expired(now));
        let entry = self.entries.get_mut(&id)?.last_mut()?;
        let claimed = Claimed { endpoint: entry.endpoint.clone(), dialled_before: entry.was_dialled };
        entry.was_dialled = true;
        self.uses += 1;
        entry.last_use = self.uses;
        entry.expires = None;
        if claimed.endpoint.is_err() {
            let used = entry.last_use;
            self.retain_of(id, |entry| entry.last_use != used);
        }
        Some(claimed)
    }

    /// Drops an address, unless another one has replaced it.
    pub(super) fn forget(&mut self, id: ServiceId, endpoint: &Endpoint) {
        self.retain_of(id, |entry| entry.endpoint.as_ref() != Ok(endpoint));
    }

    /// Drops the addresses of the peer on this link.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        self.retain(|_, entry| entry.link != link);
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    /// Drops what has expired. If nothing has, drops the entry of the least worth.
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

/// Which dials need an address, the least worth first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// A further dial of an id. This is rare, because the channel of the first dial keeps the address.
    Further,
    /// The dial for which the address was announced.
    First,
    /// Any dial, at any time.
    Any,
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn worth(&self, id: ServiceId) -> Worth {
        if is_well_known(id) {
            Worth::Any
        } else if self.was_dialled {
            Worth::Further
        } else {
            Worth::First
        }
    }
}

/// Addresses kept at once. This is far more than a program dials, and takes about 300 KiB at most.
pub(super) const MAX_ADDRESSES: usize = 1024;

/// Bytes of an address that are kept. The longest valid address is a host name of 253 characters and a port.
const MAX_TEXT: usize = 300;
