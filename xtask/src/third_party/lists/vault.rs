//! Plugins of Vault: databases, methods of authentication, and secrets engines. Each is a module of its own.

use crate::third_party::entry::{Call, Entry, Role, Source, Speaks};

const DATABASE: &[&str] = &["--preset", "vault-database"];
const BACKEND: &[&str] = &["--preset", "vault"];

/// The plugin dials the storage of its host at the setup. An engine has type 1, and a method of authentication has type 2.
const SETUP: &str = "Backend/Setup {\"Config\":{},\"backendUUID\":\"u\",\"broker_id\":\"${serve.Storage}\"}\n\
                     Backend/Type {}\n\
                     Backend/SpecialPaths {}\n";

const METHODS: &str = "Backend/Setup Backend/Type Backend/SpecialPaths";
const SERVED: &[(&str, &str)] = &[("Storage", r#"{"Get":{},"List":{},"Put":{},"Delete":{}}"#)];

pub(super) const ENTRIES: &[Entry] = &[
    database(
        "vault-plugin-database-redis",
        go("github.com/hashicorp/vault-plugin-database-redis", "v0.7.0", "cmd/vault-plugin-database-redis"),
        Speaks::Grpc(&[Call::new("Database/Type", "{}", "redis")]),
    ),
    database(
        "vault-plugin-database-elasticsearch",
        go(
            "github.com/hashicorp/vault-plugin-database-elasticsearch",
            "v0.19.0",
            "cmd/vault-plugin-database-elasticsearch",
        ),
        Speaks::Grpc(&[Call::new("Database/Type", "{}", "elasticsearch").with(INSTANCE)]),
    ),
    database(
        "vault-plugin-database-couchbase",
        go(
            "github.com/hashicorp/vault-plugin-database-couchbase",
            "v0.15.0",
            "cmd/vault-plugin-database-couchbase",
        ),
        Speaks::Grpc(&[Call::new("Database/Type", "{}", "couchbase").with(INSTANCE)]),
    ),
    backend(
        "vault-plugin-auth-jwt",
        go("github.com/hashicorp/vault-plugin-auth-jwt", "v0.26.1", "cmd/vault-plugin-auth-jwt"),
        AUTH,
    ),
    backend(
        "vault-plugin-auth-kubernetes",
        go(
            "github.com/hashicorp/vault-plugin-auth-kubernetes",
            "v0.23.1",
            "cmd/vault-plugin-auth-kubernetes",
        ),
        AUTH,
    ),
    backend(
        "vault-plugin-auth-kerberos",
        go("github.com/hashicorp/vault-plugin-auth-kerberos", "v0.16.0", "cmd/vault-plugin-auth-kerberos"),
        AUTH,
    ),
    backend(
        "vault-plugin-secrets-kv",
        go("github.com/hashicorp/vault-plugin-secrets-kv", "v0.25.0", "cmd/vault-plugin-secrets-kv"),
        SECRETS,
    ),
    backend(
        "vault-plugin-secrets-kubernetes",
        go(
            "github.com/hashicorp/vault-plugin-secrets-kubernetes",
            "v0.12.0",
            "cmd/vault-plugin-secrets-kubernetes",
        ),
        SECRETS,
    ),
    backend(
        "vault-plugin-secrets-openldap",
        go(
            "github.com/hashicorp/vault-plugin-secrets-openldap",
            "v0.17.0",
            "cmd/vault-plugin-secrets-openldap",
        ),
        SECRETS,
    ),
    backend(
        "vault-plugin-secrets-terraform",
        go(
            "github.com/hashicorp/vault-plugin-secrets-terraform",
            "v0.13.0",
            "cmd/vault-plugin-secrets-terraform",
        ),
        SECRETS,
    ),
    backend(
        "vault-plugin-secrets-ad",
        go("github.com/hashicorp/vault-plugin-secrets-ad", "v0.21.0", "cmd/vault-plugin-secrets-ad"),
        SECRETS,
    ),
];

const AUTH: Speaks =
    Speaks::Grpc(&[Call::script(METHODS, SETUP, "\"type\":2").with(INSTANCE).serving(SERVED)]);
const SECRETS: Speaks =
    Speaks::Grpc(&[Call::script(METHODS, SETUP, "\"type\":1").with(INSTANCE).serving(SERVED)]);

/// One response a line, without blanks. The plugin serves several instances in one process, and a call names one of them.
const INSTANCE: &[&str] = &["--json", "--header", "multiplex_id: one"];

const fn go(module: &'static str, version: &'static str, package: &'static str) -> Source {
    Source::Go { module, version, package, described_in: "", replace: &[] }
}

const fn database(name: &'static str, source: Source, speaks: Speaks) -> Entry {
    Entry { name, source, role: Role::Plugin { options: DATABASE, schema: &[], arguments: &[], speaks } }
}

const fn backend(name: &'static str, source: Source, speaks: Speaks) -> Entry {
    Entry { name, source, role: Role::Plugin { options: BACKEND, schema: &[], arguments: &[], speaks } }
}
