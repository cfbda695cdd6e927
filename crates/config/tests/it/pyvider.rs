//! Compatibility with the settings of pyvider.

use rpcplugin_config::{HostTls, Loader, Side, legacy_settings, settings};

/// Every field of pyvider.rpcplugin 0.5.5's configuration.
const FIELDS: &str = "
    plugin_core_version plugin_protocol_versions plugin_protocol_version supported_protocol_versions
    plugin_magic_cookie_key plugin_magic_cookie_value plugin_log_level plugin_handshake_timeout
    plugin_connection_timeout plugin_channel_ready_timeout plugin_server_ready_timeout plugin_server_transports
    plugin_client_transports plugin_supported_transports plugin_transport_buffer_size plugin_buffer_size
    plugin_chunk_size plugin_auto_mtls plugin_mtls_cert_dir plugin_client_cert_file plugin_client_key_file
    plugin_client_root_certs plugin_insecure plugin_cert_validity_days plugin_server_cert plugin_server_key
    plugin_server_root_certs plugin_client_cert plugin_client_key plugin_ca_cert plugin_grpc_keepalive_time_ms
    plugin_grpc_keepalive_timeout_ms plugin_grpc_grace_period plugin_grpc_max_receive_message_size
    plugin_grpc_max_send_message_size plugin_client_max_retries plugin_client_retry_delay
    plugin_client_backoff_multiplier plugin_client_max_retry_delay plugin_client_retry_enabled
    plugin_client_initial_backoff_ms plugin_client_max_backoff_ms plugin_client_retry_jitter_ms
    plugin_client_retry_total_timeout_s plugin_server_host plugin_server_port plugin_server_unix_socket_path
    plugin_shutdown_file_path plugin_ignore_sigint plugin_rate_limit_enabled plugin_rate_limit_burst_capacity
    plugin_rate_limit_requests_per_second plugin_health_service_enabled plugin_ui_enabled plugin_show_emoji_matrix
";

#[test]
fn every_field_of_pyvider_is_a_setting_or_a_legacy_setting() {
    assert_eq!(FIELDS.split_whitespace().count(), 55);
    for field in FIELDS.split_whitespace() {
        let variable = field.to_uppercase();
        let setting = settings().iter().find(|setting| setting.pyvider.contains(&field));
        match (setting, legacy_settings().iter().find(|legacy| legacy.pyvider == field)) {
            (Some(setting), None) => assert!(setting.env.contains(&&*variable), "{field}"),
            (None, Some(legacy)) => assert_eq!(legacy.env, variable),
            // The versions of a host are part of the handshake and not a setting.
            (None, None) => assert_eq!(field, "plugin_protocol_versions"),
            (Some(_), Some(_)) => panic!("{field} is a setting and a legacy setting"),
        }
    }
}

#[test]
fn a_variable_belongs_to_one_setting_of_a_side() {
    for side in [Side::Plugin, Side::Host] {
        let mut variables: Vec<_> = settings()
            .iter()
            .filter(|setting| setting.side == side)
            .flat_map(|setting| setting.env)
            .collect();
        let all = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), all, "{side}");
    }
}

#[test]
fn plain_numbers_count_what_pyvider_counts() {
    let config = Loader::new()
        .env([
            ("PLUGIN_HANDSHAKE_TIMEOUT", "12.5"),
            ("PLUGIN_CLIENT_RETRY_ENABLED", "TRUE"),
            ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "250"),
            ("PLUGIN_CLIENT_MAX_RETRY_DELAY", "3"),
            ("PLUGIN_CLIENT_RETRY_TOTAL_TIMEOUT_S", "20.0"),
            ("PLUGIN_CLIENT_RETRY_JITTER_MS", "2.5"),
            ("PLUGIN_GRPC_KEEPALIVE_TIME_MS", "600000"),
            ("PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS", "4s"),
            ("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "4194304"),
        ])
        .host()
        .expect("valid");
    assert_eq!(config.launch_timeout.as_millis(), 12_500);
    let retry = config.retry.expect("on");
    assert_eq!((retry.initial.as_millis(), retry.max.as_secs(), retry.total.as_secs()), (250, 3, 20));
    assert_eq!(retry.jitter.as_micros(), 2500);
    let keepalive = config.keepalive.expect("on");
    assert_eq!((keepalive.interval.as_secs(), keepalive.timeout.as_secs()), (600, 4));
    assert_eq!(config.max_receive_message_size.expect("set").as_u64(), 4 << 20);
}

#[test]
fn certificates_may_be_given_by_path() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let config = Loader::new()
        .env([("PLUGIN_CLIENT_CERT_FILE", here), ("PLUGIN_CLIENT_KEY_FILE", &format!("file://{here}"))])
        .host()
        .expect("valid");
    let HostTls::Given { certificate, private_key, server_roots: None } = config.tls else {
        panic!("{:?}", config.tls)
    };
    assert_eq!((certificate.file(), private_key.file()), (Some(here.as_ref()), Some(here.as_ref())));
}
