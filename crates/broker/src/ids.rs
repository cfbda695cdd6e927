//! Ids of services that both sides know in advance.

use rpcplugin_core::ServiceId;

/// The id of the services that a host serves to every plugin: 4 000 000 000.
///
/// The host [serves](crate::Broker::serve_host_services) them at launch. The plugin calls them on its
/// [`Broker::host_channel`](crate::Broker::host_channel). A plugin in Go can dial the id too. Without multiplexing it can
/// dial once, within 5 s after the host has connected.
pub const HOST_SERVICES: ServiceId = ServiceId(4_000_000_000);

/// The first id that is never counted: from here on, both sides agree on ids in advance. Half of all ids are below.
pub(crate) const FIRST_WELL_KNOWN: ServiceId = ServiceId(0x8000_0000);

/// Whether the id is one that both sides know in advance.
pub(crate) fn is_well_known(id: ServiceId) -> bool {
    id >= FIRST_WELL_KNOWN
}
