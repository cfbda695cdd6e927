//! A host without the host library: an environment, a handshake line, bytes. The library would hide faults of a plugin, or refuse
//! what the protocol allows.

mod address;
mod connection;
mod impostor;
mod plugin_under_test;
mod process;
mod runner_process;
mod wire;

pub(crate) use self::{
    address::Address,
    connection::{Multiplexed, RESPONSE_TIMEOUT, channel, health, is_response, multiplexed_channel},
    impostor::{Impostor, alpn, impostor_channel, is_served, names_localhost},
    plugin_under_test::{OwnTls, PluginUnderTest, Start},
    process::{NoLine, NoWay, Process, SpawnError, quoted, shown_line},
    wire::{broker_stream, padded_health, shut_down, stdio_stream, unknown_method},
};
