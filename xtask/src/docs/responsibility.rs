//! Who has to act on an error.

/// The beginning of a code, and the person who has to act. The longest beginning counts.
const RESPONSIBLE: &[(&str, &str)] = &[
    ("rpcplugin::base::", "the programmer who calls it"),
    ("rpcplugin::base::build_", "the programmer who builds"),
    ("rpcplugin::config::", "the person who configures the program that reports it"),
    ("rpcplugin::config::cookie_", "the programmer of the program that reports it"),
    ("rpcplugin::config::no_versions", "the programmer of the program that reports it"),
    ("rpcplugin::config::nothing_served", "the programmer of the plugin"),
    ("rpcplugin::config::registry_", "the programmer of the program that reports it"),
    ("rpcplugin::handshake::", "the programmer of the plugin"),
    ("rpcplugin::handshake::cannot_announce", "the programmer of the host"),
    ("rpcplugin::handshake::cookie_missing", "the user: start the host, not the plugin"),
    ("rpcplugin::handshake::cookie_mismatch", "the programmers of host and plugin, together"),
    ("rpcplugin::handshake::invalid_host_env", "the programmer of the host"),
    ("rpcplugin::handshake::host_ports", "the person who configures the host"),
    ("rpcplugin::handshake::reattach_", "the person who started the plugin that is attached to"),
    ("rpcplugin::protocol::", "the programmer of the plugin"),
    ("rpcplugin::protocol::broker_", "the programmers of host and plugin, together"),
    ("rpcplugin::protocol::not_stopped", "the user: end its process by hand"),
    ("rpcplugin::protocol::packer", "the user: let Packer start it"),
    ("rpcplugin::protocol::version", "the person who chose these versions of host and plugin"),
    (
        "rpcplugin::protocol::no_multiplexing",
        "the person who configures the host, or the programmer of the plugin",
    ),
    ("rpcplugin::transport::", "the programmer of the plugin"),
    ("rpcplugin::transport::cannot_", "the person who runs the machine"),
    ("rpcplugin::transport::socket_in_use", "the person who configures the plugin"),
    ("rpcplugin::transport::interpreter_not_found", "the person who installs the plugin"),
    ("rpcplugin::transport::library_missing", "the person who installs the plugin"),
    ("rpcplugin::transport::no_", "the person who runs the machine"),
    ("rpcplugin::transport::not_a_program", "the person who installs the plugin"),
    ("rpcplugin::transport::not_a_socket", "the person who configures the plugin"),
    ("rpcplugin::transport::path_", "the person who configures the program that reports it"),
    ("rpcplugin::transport::plugin_not_", "the person who installs the plugin"),
    ("rpcplugin::transport::plugin_not_ready", "the programmer of the plugin"),
    ("rpcplugin::transport::plugin_not_serving", "the programmer of the plugin"),
    ("rpcplugin::transport::ping_timeout", "the host: restart it; the programmer of the plugin"),
    ("rpcplugin::transport::plugin_ended", "the host: restart it; the programmer of the plugin"),
    ("rpcplugin::transport::process", "the person who runs the machine"),
    ("rpcplugin::transport::socket_", "the person who configures the program that reports it"),
    ("rpcplugin::transport::spawn", "the person who runs the machine"),
    ("rpcplugin::security::", "the person who configures certificates"),
    ("rpcplugin::security::certificate_unreadable", "the programmer of the plugin"),
    ("rpcplugin::security::host_certificate", "the programmer of the host"),
    ("rpcplugin::security::plugin_certificate", "the programmer of the plugin"),
    ("rpcplugin::security::plugin_ignored_mtls", "the programmer of the plugin"),
    ("rpcplugin::security::tls_handshake_failed", "the person who configures certificates, on both sides"),
    ("rpcplugin::security::unexpected_certificate", "the person who configures the host"),
];

/// Who has to act on this code.
pub(super) fn of(code: &str) -> &'static str {
    let known = RESPONSIBLE.iter().filter(|(beginning, _)| code.starts_with(beginning));
    known.max_by_key(|(beginning, _)| beginning.len()).map_or("the person who calls it", |(_, who)| who)
}
