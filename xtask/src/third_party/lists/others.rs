//! tflint, Velero and Grafana.

use crate::third_party::entry::{Call, Entry, Role, Source, Speaks};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "tflint",
        source: go("github.com/terraform-linters/tflint", "v0.64.0", ""),
        role: Role::Host,
    },
    plugin(
        "tflint-ruleset-terraform",
        // The version that tflint bundles.
        go("github.com/terraform-linters/tflint-ruleset-terraform", "v0.15.0", ""),
        &["--preset", "tflint"],
        Speaks::Grpc(&[
            Call::new("RuleSet/GetName", "{}", "terraform"),
            Call::new("RuleSet/GetRuleNames", "{}", "terraform_unused_declarations"),
        ]),
    ),
    plugin(
        "velero-plugin-for-aws",
        go("github.com/vmware-tanzu/velero-plugin-for-aws", "v1.14.3", "velero-plugin-for-aws"),
        &["--preset", "velero"],
        Speaks::Grpc(&[Call::new("PluginLister/ListPlugins", "{}", "velero.io/aws")]),
    ),
    plugin(
        "grafana-datasource-fixture",
        go(
            "github.com/grafana/grafana-plugin-sdk-go",
            "v0.299.0",
            "experimental/marketplace/testdata/datasourcefixture",
        ),
        &["--preset", "grafana"],
        Speaks::Grpc(&[Call::new("Diagnostics/CollectMetrics", "{}", "prometheus")]),
    ),
];

const fn go(module: &'static str, version: &'static str, package: &'static str) -> Source {
    Source::Go { module, version, package, described_in: "", replace: &[] }
}

const fn plugin(
    name: &'static str,
    source: Source,
    options: &'static [&'static str],
    speaks: Speaks,
) -> Entry {
    Entry { name, source, role: Role::Plugin { options, schema: &[], arguments: &[], speaks } }
}
