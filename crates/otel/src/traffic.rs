//! The traffic of a process's connections, summed for each peer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin_transport::{ConnectionKind, Meter, Traffic};

/// The connections of this process.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<BTreeMap<Peer, PeerTraffic>>);

/// The name of a plugin. `None` for the host of a plugin.
pub(crate) type Peer = Option<Arc<str>>;

/// The traffic with one peer, over all its generations.
#[derive(Debug, Default)]
struct PeerTraffic {
    meters: Vec<Meter>,
    past: [Traffic; 2],
}

/// The traffic with a peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerSnapshot {
    pub(crate) peer: Peer,
    /// How many plugins of this name are connected.
    pub(crate) connected: u64,
    pub(crate) main: Traffic,
    pub(crate) brokered: Traffic,
}

impl Connections {
    /// Adds a meter with all its traffic, past and future.
    pub(crate) fn add(&self, peer: Peer, meter: Meter) {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.entry(peer).or_default().meters.push(meter);
    }

    /// Returns the traffic so far. A peer that is gone stays in the list, because counters must not decrease.
    pub(crate) fn snapshot(&self) -> Vec<PeerSnapshot> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter_mut().map(|(peer, traffic)| traffic.snapshot(peer.clone())).collect()
    }
}

impl PeerTraffic {
    fn snapshot(&mut self, peer: Peer) -> PeerSnapshot {
        // Each generation of a supervised plugin has a meter. Finished meters are kept only as a sum.
        let finished = |meter: &mut Meter| meter.is_final();
        for meter in self.meters.extract_if(.., finished) {
            for (past, kind) in self.past.iter_mut().zip(KINDS) {
                *past = past.plus(meter.traffic_of(kind));
            }
        }
        let sum = |past: Traffic, kind| {
            self.meters.iter().fold(past, |sum, meter| sum.plus(meter.traffic_of(kind)))
        };
        let is_connected = |meter: &&Meter| {
            meter.connections().iter().any(|connection| connection.kind == ConnectionKind::Main)
        };
        let [main, brokered] = self.past;
        PeerSnapshot {
            peer,
            connected: self.meters.iter().filter(is_connected).count() as u64,
            main: sum(main, ConnectionKind::Main),
            brokered: sum(brokered, ConnectionKind::Brokered),
        }
    }
}

const KINDS: [ConnectionKind; 2] = [ConnectionKind::Main, ConnectionKind::Brokered];
