//! Ecosystems whose plugins speak the protocol: the cookie, versions and variables that their hosts set.

use std::path::Path;

use rpcplugin::{MagicCookie, Versions};

/// The cookie, versions and variables of an ecosystem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preset {
    /// The name for `--preset`.
    pub(crate) name: &'static str,
    cookie: (&'static str, &'static str),
    /// Further cookies, one for each kind of plugin. A plugin checks only its own.
    further_cookies: &'static [(&'static str, &'static str)],
    /// Whether plugins accept any value of the cookie, because the hosts generate it for each launch.
    pub(crate) any_value: bool,
    versions: &'static [u32],
    /// Further variables of the plugin's environment.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// The prefixes of the program names, if there is a convention.
    programs: &'static [&'static str],
    /// Whether the plugins are refused, because they speak another protocol.
    pub(crate) refused: bool,
}

/// The defaults of a preset.
const DEFAULTS: Preset = Preset {
    name: "",
    cookie: ("", ""),
    further_cookies: &[],
    any_value: false,
    versions: &[1],
    env: &[],
    programs: &[],
    refused: false,
};

const PRESETS: &[Preset] = &[
    // hashicorp/terraform-plugin-go: tfprotov5/tf5server/server.go and tfprotov6/tf6server/server.go. OpenTofu has the
    // same.
    Preset {
        name: "terraform",
        cookie: (
            "TF_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        ),
        versions: &[5, 6],
        programs: &["terraform-provider-"],
        ..DEFAULTS
    },
    // hashicorp/nomad: plugins/base/plugin.go. Version 1 was net/rpc, before Nomad 0.9.
    Preset {
        name: "nomad",
        cookie: (
            "NOMAD_PLUGIN_MAGIC_COOKIE",
            "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
        ),
        versions: &[2],
        ..DEFAULTS
    },
    // hashicorp/vault: sdk/plugin/serve.go, and sdk/helper/pluginutil/run_config.go for the variables. These are the
    // secret and auth plugins; OpenBao has the same. VAULT_VERSION and VAULT_UNWRAP_TOKEN are left out, because there is no Vault.
    Preset {
        name: "vault",
        cookie: ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20"),
        versions: &[3, 4, 5],
        env: VAULT,
        ..DEFAULTS
    },
    // hashicorp/vault: sdk/database/dbplugin/v5/plugin_server.go and grpc_database_plugin.go.
    Preset {
        name: "vault-database",
        cookie: ("VAULT_DATABASE_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb"),
        versions: &[5, 6],
        env: VAULT,
        ..DEFAULTS
    },
    // terraform-linters/tflint-plugin-sdk: plugin/internal/host2plugin/plugin.go, as of 0.23; 10 was its first on gRPC.
    Preset {
        name: "tflint",
        cookie: ("TFLINT_RULESET_PLUGIN", "5adSn1bX8nrDfgBqiAqqEkC6OE1h3iD8SqbMc5UUONx8x3xCF0KlPDsBRNDjoYDP"),
        versions: &[10, 11],
        programs: &["tflint-ruleset-"],
        ..DEFAULTS
    },
    // grafana/grafana-plugin-sdk-go: backend/grpcplugin, as grafana/grafana-image-renderer writes it out in
    // src/plugin/v2.
    Preset {
        name: "grafana",
        cookie: ("grafana_plugin_type", "datasource"),
        versions: &[2],
        programs: &["gpx_"],
        ..DEFAULTS
    },
    // crowdsecurity/crowdsec: pkg/csplugin/broker.go. The value is a fresh UUID at each start, and plugins compare it
    // with itself.
    Preset {
        name: "crowdsec",
        cookie: ("CROWDSEC_PLUGIN_KEY", "f3b2f1de-5a0c-4a86-9a0e-3f6f5c3b7a51"),
        any_value: true,
        ..DEFAULTS
    },
    // vmware-tanzu/velero: pkg/plugin/framework/handshake.go.
    Preset {
        name: "velero",
        cookie: ("VELERO_PLUGIN", "hello"),
        versions: &[2],
        programs: &["velero-plugin-"],
        ..DEFAULTS
    },
    // conduitio/conduit-connector-protocol: pconnector/pconnector.go, pconnector/client/client.go, pconnector/env_vars.go
    // and pconnutils/env_vars.go; conduitio/conduit: pkg/plugin/connector/standalone/registry.go. A connector ends at once
    // without them. Conduit's own service is not there: calls to it fail.
    Preset {
        name: "conduit",
        cookie: (
            "CONDUIT_PLUGIN_MAGIC_COOKIE",
            "204e8e812c3a1bb73b838928c575b42a105dd2e9aa449be481bc4590486df53f",
        ),
        versions: &[1, 2],
        env: &[
            ("CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET", "127.0.0.1:1"),
            ("CONDUIT_CONNECTOR_TOKEN", "rpcplugin"),
            ("CONDUIT_CONNECTOR_ID", "rpcplugin"),
            ("CONDUIT_CONNECTOR_LOG_LEVEL", "info"),
            ("CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE", "4194304"),
        ],
        programs: &["conduit-connector-"],
        ..DEFAULTS
    },
    // distribworks/dkron: plugin/serve.go.
    Preset {
        name: "dkron",
        cookie: (
            "DKRON_PLUGIN_MAGIC_COOKIE",
            "b29a76488b6f3ca7955c5f769b50641f0fcd88748d8cedecda313d516320ca19",
        ),
        programs: &["dkron-executor-", "dkron-processor-"],
        ..DEFAULTS
    },
    // turbot/steampipe-plugin-sdk: grpc/shared/interface.go, which sets no version.
    Preset {
        name: "steampipe",
        cookie: ("MANTIX_PLUGIN_MAGIC_COOKIE", "really-complex-permanent-string-value"),
        versions: &[0],
        programs: &["steampipe-plugin-"],
        ..DEFAULTS
    },
    // spiffe/spire: pkg/common/catalog/external.go. Key and value are the plugin's type, as the code generated from
    // spiffe/spire-plugin-sdk has it; SPIRE sets that of the one type that it has configured.
    Preset {
        name: "spire",
        cookie: ("KeyManager", "KeyManager"),
        further_cookies: &[
            ("BundlePublisher", "BundlePublisher"),
            ("CredentialComposer", "CredentialComposer"),
            ("DataStore", "DataStore"),
            ("NodeAttestor", "NodeAttestor"),
            ("Notifier", "Notifier"),
            ("SVIDStore", "SVIDStore"),
            ("UpstreamAuthority", "UpstreamAuthority"),
            ("WorkloadAttestor", "WorkloadAttestor"),
        ],
        ..DEFAULTS
    },
    // hashicorp/packer-plugin-sdk: plugin/server.go.
    Preset {
        name: "packer",
        cookie: (
            "PACKER_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        ),
        programs: &["packer-plugin-"],
        refused: true,
        ..DEFAULTS
    },
    // This repository's conformance programs: tests/src/facts.rs.
    Preset {
        name: "kit",
        cookie: ("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance"),
        versions: &[1, 2, 3],
        programs: &["kit-plugin"],
        ..DEFAULTS
    },
];

/// The variables that Vault sets under AutoMTLS. Without the first, a plugin requests a certificate from Vault and exits.
const VAULT: &[(&str, &str)] =
    &[("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true"), ("VAULT_PLUGIN_METADATA_MODE", "false")];

impl Preset {
    /// Returns the cookie.
    pub(crate) fn cookie(&self) -> MagicCookie {
        MagicCookie::new(self.cookie.0, self.cookie.1).expect("a test checks each preset")
    }

    /// Returns the further cookies, one for each kind of plugin.
    pub(crate) fn further_cookies(&self) -> &'static [(&'static str, &'static str)] {
        self.further_cookies
    }

    /// Returns the versions that the hosts offer.
    pub(crate) fn versions(&self) -> Versions {
        Versions::new(self.versions.iter().copied()).expect("a test checks each preset")
    }
}

/// Returns all names.
pub(crate) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// Returns the preset with this name. clap has checked that it exists.
pub(crate) fn find(name: &str) -> &'static Preset {
    PRESETS.iter().find(|preset| preset.name == name).unwrap_or(&PRESETS[0])
}

/// Returns the preset that matches the name of a program.
pub(crate) fn of_program(program: &Path) -> Option<&'static Preset> {
    let name = program.file_name()?.to_str()?;
    PRESETS.iter().find(|preset| preset.programs.iter().any(|start| name.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_has_a_cookie_and_versions() {
        for preset in PRESETS {
            assert_eq!(find(preset.name).cookie().key(), preset.cookie.0);
            assert!(preset.versions().iter().count() > 0);
            for (key, value) in preset.further_cookies().iter().chain(preset.env) {
                assert!(MagicCookie::new(*key, *value).is_ok(), "{}: {key}", preset.name);
            }
        }
    }

    #[test]
    fn the_cookies_of_the_library_are_the_same() {
        assert_eq!(find("terraform").cookie(), MagicCookie::terraform());
        assert_eq!(find("grafana").cookie(), MagicCookie::grafana());
    }

    #[test]
    fn programs_are_recognized_by_their_names() {
        let name = |path: &str| of_program(Path::new(path)).map(|preset| preset.name);
        assert_eq!(name("/opt/terraform-provider-aws_v5.1"), Some("terraform"));
        assert_eq!(name("/terraform-provider-x/bin"), None);
        assert_eq!(name("packer-plugin-amazon_v1.3.0_x5.0_linux_amd64"), Some("packer"));
        assert_eq!(name("./dkron-processor-files"), Some("dkron"));
        assert_eq!(name("/usr/bin/dkron"), None);
    }
}
