//! Providers of Terraform and OpenTofu, and OpenTofu itself.

use crate::third_party::entry::{Call, Entry, Role, Source, Speaks};

const OPTIONS: &[&str] = &["--preset", "terraform"];

/// Version 1 of Terraform's SDK, whose plugins have no reflection.
const SDK_1: &str = "github.com/hashicorp/terraform-plugin-sdk";

const SDK_1_SCHEMA: &[&str] = &["--proto", "{source}/internal/tfplugin5/tfplugin5.proto"];

pub(super) const ENTRIES: &[Entry] = &[
    provider(
        "terraform-provider-time",
        go("github.com/hashicorp/terraform-provider-time", "v0.14.2", "", &[]),
        &[],
        Speaks::Grpc(&[
            Call::new("Provider/GetSchema", "{}", "time_static"),
            Call::new(
                "Provider/CallFunction",
                // "2026-11-30T20:00:00Z"
                r#"{"name":"rfc3339_parse","arguments":[{"json":"IjIwMjYtMTEtMzBUMjA6MDA6MDBaIg=="}]}"#,
                "msgpack",
            ),
        ]),
    ),
    provider(
        "terraform-provider-random",
        go(
            "github.com/terraform-providers/terraform-provider-random",
            "v1.3.2-0.20231204135814-c6e90de46687",
            "",
            &[],
        ),
        &[],
        Speaks::Grpc(&[Call::new("Provider/GetSchema", "{}", "random_password")]),
    ),
    provider(
        "terraform-provider-tls",
        go("github.com/hashicorp/terraform-provider-tls", "v1.2.1-0.20230117062332-afdd54107aba", "", &[]),
        &[],
        Speaks::Grpc(&[Call::new("Provider/GetSchema", "{}", "tls_private_key")]),
    ),
    provider(
        "terraform-provider-http",
        go(
            "github.com/terraform-providers/terraform-provider-http",
            "v1.2.0",
            SDK_1,
            &[
                "github.com/terraform-providers/terraform-provider-http=github.com/hashicorp/terraform-provider-http@v1.2.0",
            ],
        ),
        SDK_1_SCHEMA,
        Speaks::Grpc(&[Call::new("Provider/GetSchema", "{}", "response_headers")]),
    ),
    provider(
        "terraform-provider-local",
        go(
            "github.com/terraform-providers/terraform-provider-local",
            "v1.4.0",
            SDK_1,
            &[
                "github.com/terraform-providers/terraform-provider-local=github.com/hashicorp/terraform-provider-local@v1.4.0",
            ],
        ),
        SDK_1_SCHEMA,
        Speaks::Grpc(&[Call::new("Provider/GetSchema", "{}", "local_file")]),
    ),
    Entry {
        name: "tofu",
        source: Source::Go {
            module: "github.com/opentofu/opentofu",
            version: "v1.12.6",
            package: "cmd/tofu",
            described_in: "",
            replace: &[
                "github.com/hashicorp/hcl/v2=github.com/opentofu/hcl/v2@v2.20.2-0.20251021132045-587d123c2828",
            ],
        },
        role: Role::Host,
    },
];

const fn go(
    module: &'static str,
    version: &'static str,
    described_in: &'static str,
    replace: &'static [&'static str],
) -> Source {
    Source::Go { module, version, package: "", described_in, replace }
}

const fn provider(
    name: &'static str,
    source: Source,
    schema: &'static [&'static str],
    speaks: Speaks,
) -> Entry {
    Entry { name, source, role: Role::Plugin { options: OPTIONS, schema, arguments: &[], speaks } }
}
