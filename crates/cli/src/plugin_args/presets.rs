//! Public facts of ecosystems whose plugins speak the protocol: what their hosts set when they start a plugin.

use std::path::Path;

use rpcplugin::{MagicCookie, Versions};

/// What the hosts of an ecosystem set for their plugins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preset {
    /// By which it is asked for.
    pub(crate) name: &'static str,
    cookie: (&'static str, &'static str),
    /// Further cookies: each kind of plugin has one of its own, and a plugin looks at no other.
    further_cookies: &'static [(&'static str, &'static str)],
    /// The hosts make up a value for each start, and plugins accept any.
    pub(crate) any_value: bool,
    versions: &'static [u32],
    /// Variables of the plugin's environment besides.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// How the names of its programs begin, where there is a convention.
    programs: &'static [&'static str],
    /// The ecosystem speaks another protocol, so that its plugins are refused.
    pub(crate) refused: bool,
}

/// What most ecosystems have: one cookie, and no more.
const ORDINARY: Preset = Preset {
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
        ..ORDINARY
    },
    // hashicorp/nomad: plugins/base/plugin.go. Version 1 was net/rpc, before Nomad 0.9.
    Preset {
        name: "nomad",
        cookie: (
            "NOMAD_PLUGIN_MAGIC_COOKIE",
            "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
        ),
        versions: &[2],
        ..ORDINARY
    },
    // hashicorp/vault: sdk/plugin/serve.go, and sdk/helper/pluginutil/run_config.go for the variables. These are the
    // secret and auth plugins; OpenBao has the same. VAULT_VERSION and VAULT_UNWRAP_TOKEN would be untrue here.
    Preset {
        name: "vault",
        cookie: ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20"),
        versions: &[3, 4, 5],
        env: VAULT,
        ..ORDINARY
    },
    // hashicorp/vault: sdk/database/dbplugin/v5/plugin_server.go and grpc_database_plugin.go.
    Preset {
        name: "vault-database",
        cookie: ("VAULT_DATABASE_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb"),
        versions: &[5, 6],
        env: VAULT,
        ..ORDINARY
    },
    // terraform-linters/tflint-plugin-sdk: plugin/internal/host2plugin/plugin.go, as of 0.23; 10 was its first on gRPC.
    Preset {
        name: "tflint",
        cookie: ("TFLINT_RULESET_PLUGIN", "5adSn1bX8nrDfgBqiAqqEkC6OE1h3iD8SqbMc5UUONx8x3xCF0KlPDsBRNDjoYDP"),
        versions: &[10, 11],
        programs: &["tflint-ruleset-"],
        ..ORDINARY
    },
    // grafana/grafana-plugin-sdk-go: backend/grpcplugin, as grafana/grafana-image-renderer writes it out in
    // src/plugin/v2.
    Preset {
        name: "grafana",
        cookie: ("grafana_plugin_type", "datasource"),
        versions: &[2],
        programs: &["gpx_"],
        ..ORDINARY
    },
    // crowdsecurity/crowdsec: pkg/csplugin/broker.go. The value is a fresh UUID at each start, and plugins compare it
    // with itself.
    Preset {
        name: "crowdsec",
        cookie: ("CROWDSEC_PLUGIN_KEY", "f3b2f1de-5a0c-4a86-9a0e-3f6f5c3b7a51"),
        any_value: true,
        ..ORDINARY
    },
    // vmware-tanzu/velero: pkg/plugin/framework/handshake.go.
    Preset {
        name: "velero",
        cookie: ("VELERO_PLUGIN", "hello"),
        versions: &[2],
        programs: &["velero-plugin-"],
        ..ORDINARY
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
        ..ORDINARY
    },
    // distribworks/dkron: plugin/serve.go.
    Preset {
        name: "dkron",
        cookie: (
            "DKRON_PLUGIN_MAGIC_COOKIE",
            "b29a76488b6f3ca7955c5f769b50641f0fcd88748d8cedecda313d516320ca19",
        ),
        programs: &["dkron-executor-", "dkron-processor-"],
        ..ORDINARY
    },
    // turbot/steampipe-plugin-sdk: grpc/shared/interface.go, which sets no version.
    Preset {
        name: "steampipe",
        cookie: ("MANTIX_PLUGIN_MAGIC_COOKIE", "really-complex-permanent-string-value"),
        versions: &[0],
        programs: &["steampipe-plugin-"],
        ..ORDINARY
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
        ..ORDINARY
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
        ..ORDINARY
    },
    // This repository's conformance programs: tests/src/facts.rs.
    Preset {
        name: "kit",
        cookie: ("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance"),
        versions: &[1, 2, 3],
        programs: &["kit-plugin"],
        ..ORDINARY
    },
];

/// What Vault sets whenever it uses AutoMTLS. Without the first a plugin asks Vault for a certificate, and ends.
const VAULT: &[(&str, &str)] =
    &[("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true"), ("VAULT_PLUGIN_METADATA_MODE", "false")];

impl Preset {
    /// The cookie of the ecosystem's hosts.
    pub(crate) fn cookie(&self) -> MagicCookie {
        MagicCookie::new(self.cookie.0, self.cookie.1).expect("a test makes each")
    }

    /// Further cookies that are set beside it, one for each kind of plugin.
    pub(crate) fn further_cookies(&self) -> &'static [(&'static str, &'static str)] {
        self.further_cookies
    }

    /// The versions that its hosts offer.
    pub(crate) fn versions(&self) -> Versions {
        Versions::new(self.versions.iter().copied()).expect("a test makes each")
    }
}

/// All names.
pub(crate) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// The preset of this name. clap has seen to it that there is one.
pub(crate) fn find(name: &str) -> &'static Preset {
    PRESETS.iter().find(|preset| preset.name == name).unwrap_or(&PRESETS[0])
}

/// The preset to which a program belongs by its name.
pub(crate) fn of_program(program: &Path) -> Option<&'static Preset> {
    let name = program.file_name()?.to_str()?;
    PRESETS.iter().find(|preset| preset.programs.iter().any(|start| name.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_makes_a_cookie_and_versions() {
        for preset in PRESETS {
            assert_eq!(find(preset.name).cookie().key(), preset.cookie.0);
            assert!(preset.versions().iter().count() > 0);
            for (key, value) in preset.further_cookies().iter().chain(preset.env) {
                assert!(MagicCookie::new(*key, *value).is_ok(), "{}: {key}", preset.name);
            }
        }
    }

    #[test]
    fn programs_are_known_by_their_names() {
        let name = |path: &str| of_program(Path::new(path)).map(|preset| preset.name);
        assert_eq!(name("/opt/terraform-provider-aws_v5.1"), Some("terraform"));
        assert_eq!(name("/terraform-provider-x/bin"), None);
        assert_eq!(name("packer-plugin-amazon_v1.3.0_x5.0_linux_amd64"), Some("packer"));
        assert_eq!(name("./dkron-processor-files"), Some("dkron"));
        assert_eq!(name("/usr/bin/dkron"), None);
    }
}
