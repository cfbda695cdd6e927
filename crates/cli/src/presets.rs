//! Public facts of ecosystems whose plugins speak the protocol: the cookie and the versions that their hosts offer.

use std::path::Path;

use rpcplugin::{MagicCookie, Versions};

/// What the hosts of an ecosystem offer to their plugins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preset {
    /// By which it is asked for.
    pub(crate) name: &'static str,
    key: &'static str,
    value: &'static str,
    versions: &'static [u32],
    /// How the names of its programs begin, if all do.
    program: Option<&'static str>,
}

const PRESETS: &[Preset] = &[
    // hashicorp/terraform-plugin-go: tfprotov5/tf5server/server.go and tfprotov6/tf6server/server.go. OpenTofu has the
    // same.
    Preset {
        name: "terraform",
        key: "TF_PLUGIN_MAGIC_COOKIE",
        value: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        versions: &[5, 6],
        program: Some("terraform-provider-"),
    },
    // hashicorp/nomad: plugins/base/plugin.go.
    Preset {
        name: "nomad",
        key: "NOMAD_PLUGIN_MAGIC_COOKIE",
        value: "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
        versions: &[1, 2],
        program: None,
    },
    // hashicorp/vault: sdk/plugin/serve.go. These are the secret and auth plugins; OpenBao has the same.
    Preset {
        name: "vault",
        key: "VAULT_BACKEND_PLUGIN",
        value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
        versions: &[3, 4, 5],
        program: None,
    },
    // hashicorp/vault: sdk/database/dbplugin/v5/plugin_server.go and grpc_database_plugin.go.
    Preset {
        name: "vault-database",
        key: "VAULT_DATABASE_PLUGIN",
        value: "926a0820-aea2-be28-51d6-83cdf00e8edb",
        versions: &[5, 6],
        program: None,
    },
    // terraform-linters/tflint-plugin-sdk: plugin/internal/host2plugin/plugin.go, as of 0.21; 10 was its first on gRPC.
    Preset {
        name: "tflint",
        key: "TFLINT_RULESET_PLUGIN",
        value: "5adSn1bX8nrDfgBqiAqqEkC6OE1h3iD8SqbMc5UUONx8x3xCF0KlPDsBRNDjoYDP",
        versions: &[10, 11],
        program: Some("tflint-ruleset-"),
    },
    // grafana/grafana-plugin-sdk-go: backend/grpcplugin, as grafana/grafana-image-renderer writes it out in
    // src/plugin/v2.
    Preset {
        name: "grafana",
        key: "grafana_plugin_type",
        value: "datasource",
        versions: &[2],
        program: Some("gpx_"),
    },
    // This repository's conformance programs: tests/src/facts.rs.
    Preset {
        name: "kit",
        key: "CONFORMANCE_KIT_COOKIE",
        value: "b1d0c9a6-conformance",
        versions: &[1, 2, 3],
        program: Some("kit-plugin"),
    },
];

impl Preset {
    /// The cookie of the ecosystem's hosts.
    pub(crate) fn cookie(&self) -> MagicCookie {
        MagicCookie::new(self.key, self.value).expect("a test makes each")
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
    PRESETS.iter().find(|preset| preset.program.is_some_and(|start| name.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_makes_a_cookie_and_versions() {
        for preset in PRESETS {
            assert_eq!(find(preset.name).cookie().key(), preset.key);
            assert!(preset.versions().iter().count() > 0);
        }
    }

    #[test]
    fn programs_are_known_by_their_names() {
        let name = |path: &str| of_program(Path::new(path)).map(|preset| preset.name);
        assert_eq!(name("/opt/terraform-provider-aws_v5.1"), Some("terraform"));
        assert_eq!(name("/terraform-provider-x/bin"), None);
    }
}
