//! Plugins that Debian has: CrowdSec's notifications, and Packer.

use crate::third_party::entry::{Call, Entry, Role, Source, Speaks};

const OPTIONS: &[&str] = &["--preset", "crowdsec"];

/// The plugins have no reflection.
const SCHEMA: &[&str] = &[
    "--proto",
    "{source}/usr/share/gocode/src/github.com/crowdsecurity/crowdsec/pkg/protobufs/notifier.proto",
];

/// The package of the program, and the one with the description of its service.
const PACKAGES: &[&str] = &["crowdsec", "golang-github-crowdsecurity-crowdsec-dev"];

pub(super) const ENTRIES: &[Entry] = &[
    notification(
        "crowdsec-dummy",
        "usr/lib/crowdsec/plugins/dummy",
        Speaks::Grpc(&[Call::script(
            "Notifier/Configure Notifier/Notify",
            // name: dummy, output_file: notified.txt
            "Notifier/Configure {\"config\":\"bmFtZTogZHVtbXkKb3V0cHV0X2ZpbGU6IG5vdGlmaWVkLnR4dAo=\"}\n\
             Notifier/Notify {\"text\":\"an alert\",\"name\":\"dummy\"}\n",
            "{}",
        )]),
    ),
    notification(
        "crowdsec-http",
        "usr/lib/crowdsec/plugins/http",
        Speaks::Grpc(&[
            Call::new("Notifier/Configure", CONFIGURE_HTTP, "{}"),
            Call::failing("Notifier/Notify", ABSENT, "config name absent"),
        ]),
    ),
    notification(
        "crowdsec-email",
        "usr/lib/crowdsec/plugins/email",
        Speaks::Grpc(&[Call::failing("Notifier/Notify", ABSENT, "config name absent")]),
    ),
    notification(
        "crowdsec-slack",
        "usr/lib/crowdsec/plugins/slack",
        Speaks::Grpc(&[Call::failing("Notifier/Notify", ABSENT, "config name absent")]),
    ),
    notification(
        "crowdsec-splunk",
        "usr/lib/crowdsec/plugins/splunk",
        Speaks::Grpc(&[Call::failing("Notifier/Notify", ABSENT, "config name absent")]),
    ),
    Entry {
        name: "packer-builder-null",
        source: Source::Debian { packages: &["packer"], file: "usr/bin/packer" },
        role: Role::Plugin {
            // The preset refuses such plugins before it starts them.
            options: &[
                "--cookie",
                "PACKER_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
            ],
            schema: &[],
            arguments: &["plugin", "packer-builder-null"],
            speaks: Speaks::Refused("rpcplugin::protocol::packer"),
        },
    },
];

/// The name of a configuration that the plugin does not have.
const ABSENT: &str = r#"{"text":"an alert","name":"absent"}"#;

/// name: http, url: `http://127.0.0.1:1/`, method: POST
const CONFIGURE_HTTP: &str =
    r#"{"config":"bmFtZTogaHR0cAp1cmw6IGh0dHA6Ly8xMjcuMC4wLjE6MS8KbWV0aG9kOiBQT1NUCg=="}"#;

const fn notification(name: &'static str, file: &'static str, speaks: Speaks) -> Entry {
    let source = Source::Debian { packages: PACKAGES, file };
    Entry { name, source, role: Role::Plugin { options: OPTIONS, schema: SCHEMA, arguments: &[], speaks } }
}
