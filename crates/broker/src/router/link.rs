//! One stream of messages between two brokers, as the router sees it.

use std::collections::VecDeque;

use rpcplugin_proto::ConnInfo;

/// The number of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(super) u64);

/// The state of one link.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Messages are taken from it.
    pub(super) up: bool,
    pub(super) policy: KnockPolicy,
    pub(super) outbox: VecDeque<ConnInfo>,
    pub(super) sent_any: bool,
    pub(super) received_any: bool,
    /// The peer is a host that has said that it has no services for its plugins.
    pub(super) no_host_services: bool,
    /// There is a new message or a new deadline: the writer must look.
    pub(super) changed: bool,
}

/// How a peer knocks, and how this side may knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KnockPolicy {
    /// One knock at a time. The next follows when the stream for the last is on its way or will never come. This is what
    /// go-plugin does, and what is assumed of an unknown peer.
    #[default]
    Serial,
    /// Any number at a time. The peer answers every knock, and opens a stream each time that it is let in. This is what
    /// rpcplugin does.
    Concurrent,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// It broke, or this side ended it.
    Lost,
    /// The peer ended it without an error.
    ByPeer,
    /// The peer has no broker.
    Unimplemented,
}

/// Whether messages can be sent to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reachability {
    /// Yes, on this link.
    Up(LinkId),
    /// No, until the next link.
    Down,
    /// No, because the peer has no broker.
    NoBroker,
    /// No, because the peer's broker is closed.
    PeerClosed,
}

impl Link {
    /// Whether the peer's broker must be closed, given that the peer has ended this link without an error. rpcplugin's
    /// broker does not close before its process ends.
    pub(super) fn is_dead(&self) -> bool {
        self.policy == KnockPolicy::Serial && self.sent_any && !self.received_any
    }

    pub(super) fn send(&mut self, message: ConnInfo) {
        self.outbox.push_back(message);
        self.changed = true;
    }

    /// Answers the peer. Drops the answer if the peer does not read the earlier ones.
    pub(super) fn reply(&mut self, message: ConnInfo) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(message);
        }
        self.changed = true;
    }
}

/// Answers that may wait for the peer to read them.
pub(super) const MAX_OUTBOX: usize = 1024;
