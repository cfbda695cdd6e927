//! What goes over the connections of a process, summed up for each of its peers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin_transport::{ConnectionKind, Meter, Traffic};

/// The connections of this process.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<BTreeMap<Peer, Counted>>);

/// The name of a plugin; None for a host, of which a plugin has one.
pub(crate) type Peer = Option<Arc<str>>;

/// What was counted with one peer, in all its generations.
#[derive(Debug, Default)]
struct Counted {
    meters: Vec<Meter>,
    past: [Traffic; 2],
}

/// A peer at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) peer: Peer,
    /// How many of this name are connected.
    pub(crate) connected: u64,
    pub(crate) main: Traffic,
    pub(crate) brokered: Traffic,
}

impl Connections {
    /// Counts what this meter counts, from its beginning to its end.
    pub(crate) fn add(&self, peer: Peer, meter: Meter) {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.entry(peer).or_default().meters.push(meter);
    }

    /// Everything so far. A peer that was there once stays, so that its numbers do not vanish.
    pub(crate) fn look(&self) -> Vec<Seen> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter_mut().map(|(peer, counted)| counted.look(peer.clone())).collect()
    }
}

impl Counted {
    fn look(&mut self, peer: Peer) -> Seen {
        // Supervised plugins come and go: what is over is kept as a sum.
        let over = |meter: &mut Meter| meter.is_final();
        for meter in self.meters.extract_if(.., over) {
            for (past, kind) in self.past.iter_mut().zip(KINDS) {
                *past = past.plus(meter.traffic_of(kind));
            }
        }
        let sum = |past: Traffic, kind| {
            self.meters.iter().fold(past, |sum, meter| sum.plus(meter.traffic_of(kind)))
        };
        let is_connected =
            |meter: &&Meter| meter.connections().iter().any(|one| one.kind == ConnectionKind::Main);
        let [main, brokered] = self.past;
        Seen {
            peer,
            connected: self.meters.iter().filter(is_connected).count() as u64,
            main: sum(main, ConnectionKind::Main),
            brokered: sum(brokered, ConnectionKind::Brokered),
        }
    }
}

const KINDS: [ConnectionKind; 2] = [ConnectionKind::Main, ConnectionKind::Brokered];
