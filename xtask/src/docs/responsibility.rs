//! The person who has to act on an error.

/// The person, and the beginnings of codes after `rpcplugin::`. The longest beginning counts.
const RESPONSIBLE: &[(&str, &str)] = &[
    ("the programmer who calls it", "base::"),
    ("the programmer who builds", "base::build_"),
    ("the person who configures the program that reports it", "config:: transport::path_ transport::socket_"),
    (
        "the programmer of the program that reports it",
        "config::cookie_ config::no_versions config::registry_",
    ),
    (
        "the programmer of the plugin",
        "config::nothing_served handshake:: protocol:: transport:: transport::plugin_not_ready \
         transport::plugin_not_serving security::certificate_unreadable security::plugin_certificate \
         security::plugin_ignored_mtls",
    ),
    (
        "the programmer of the host",
        "handshake::cannot_announce handshake::invalid_host_env security::host_certificate",
    ),
    ("the programmer of the host", "instance::"),
    ("the programmer of the plugin", "instance::unsupported instance::refused"),
    ("the user: start the host, not the plugin", "handshake::cookie_missing"),
    ("the programmers of host and plugin, together", "handshake::cookie_mismatch protocol::broker_"),
    ("the person who configures the host", "handshake::host_ports security::unexpected_certificate"),
    ("the person who started the plugin that is attached to", "handshake::reattach_"),
    ("the user: end its process by hand", "protocol::not_stopped"),
    ("the user: let Packer start it", "protocol::packer"),
    ("the person who chose these versions of host and plugin", "protocol::version protocol::required_"),
    ("the person who configures the host, or the programmer of the plugin", "protocol::no_multiplexing"),
    (
        "the person who runs the machine",
        "transport::cannot_ transport::no_ transport::process transport::spawn",
    ),
    ("the person who configures the plugin", "transport::socket_in_use transport::not_a_socket"),
    (
        "the person who installs the plugin",
        "transport::interpreter_not_found transport::library_missing transport::not_a_program \
         transport::plugin_not_",
    ),
    ("the host: restart it; the programmer of the plugin", "transport::ping_timeout transport::plugin_ended"),
    ("the person who configures certificates", "security::"),
    (
        "the person who decides what to trust",
        "security::plugin_not_trusted security::plugin_changed security::plugin_asks_for_more security::grant_breaks_trust \
         security::interpreter_not_trusted security::plugin_unreadable",
    ),
    ("the programmer of the host", "security::sandbox_"),
    ("the person who runs the containers", "docker::"),
    ("the person who runs the cluster", "kube::"),
    ("the person who configures certificates, on both sides", "security::tls_handshake_failed"),
];

/// The person who has to act on this code.
pub(super) fn of(code: &str) -> &'static str {
    let case = code.strip_prefix("rpcplugin::").unwrap_or(code);
    let length = |beginnings: &str| {
        beginnings.split(' ').filter(|beginning| case.starts_with(beginning)).map(str::len).max()
    };
    let known = RESPONSIBLE.iter().filter_map(|(who, beginnings)| Some((length(beginnings)?, *who)));
    known.max().map_or("the person who calls it", |(_, who)| who)
}
