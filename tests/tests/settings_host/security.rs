//! Settings of TLS.

use base64::Engine as _;
use rpcplugin::{
    LaunchError, Plugin,
    host::Attachment,
    tls::{Identity, RootCertificates, Trust},
};
use rpcplugin_tests::support::conformance::plugin;

use crate::support::{config, env, fault_code, launch, with};

#[tokio::test]
async fn auto_mtls() {
    for (value, mutual) in [("true", true), ("false", false)] {
        let plugin = launch(&[("PLUGIN_AUTO_MTLS", value)]).await;
        assert_eq!(plugin.security().is_mutual(), mutual);
        assert_eq!(env(&plugin, "PLUGIN_CLIENT_CERT").await.is_some(), mutual);
    }
}

/// Launches a plugin that trusts the certificate of `known`, from a host with this certificate and key.
async fn launch_with_certificates(
    known: &Identity,
    certificate: &str,
    key: &str,
    authorities: Option<&Identity>,
) -> Result<Plugin, LaunchError> {
    let own = Identity::generate().unwrap();
    let exported = own.export();
    let authorities = authorities.unwrap_or(&own).certificate_pem();
    let plugin = plugin(&[
        ("PLUGIN_SERVER_CERT", exported.certificates_pem()),
        ("PLUGIN_SERVER_KEY", exported.private_key_pem()),
        ("PLUGIN_CLIENT_ROOT_CERTS", &known.certificate_pem()),
    ]);
    let host = with(&[
        ("PLUGIN_CLIENT_CERT", certificate),
        ("PLUGIN_CLIENT_KEY", key),
        ("PLUGIN_SERVER_ROOT_CERTS", &authorities),
    ]);
    host.launch(plugin).await
}

#[tokio::test]
async fn certificate() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (known, unknown) = (one.export(), other.export());
    launch_with_certificates(&one, known.certificates_pem(), known.private_key_pem(), None).await.unwrap();
    let unknown_host =
        launch_with_certificates(&one, unknown.certificates_pem(), unknown.private_key_pem(), None).await;
    unknown_host.expect_err("the plugin trusts another host");
}

#[tokio::test]
async fn private_key() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let mixed = launch_with_certificates(
        &one,
        one.export().certificates_pem(),
        other.export().private_key_pem(),
        None,
    )
    .await;
    assert_eq!(fault_code(mixed), "rpcplugin::security::host_identity");
}

#[tokio::test]
async fn server_roots() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let known = one.export();
    let refused =
        launch_with_certificates(&one, known.certificates_pem(), known.private_key_pem(), Some(&other)).await;
    refused.expect_err("the host trusts another plugin");
}

/// A certificate for only this name, and its key.
fn certificate_for(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    wanted.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = wanted.self_signed(&key).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

#[tokio::test]
async fn server_name() {
    let own = Identity::generate().unwrap();
    let exported = own.export();
    for name in ["kv.internal", "192.0.2.7"] {
        let (certificate, key) = certificate_for(name);
        let secured = plugin(&[
            ("PLUGIN_SERVER_CERT", &certificate),
            ("PLUGIN_SERVER_KEY", &key),
            ("PLUGIN_CLIENT_ROOT_CERTS", &own.certificate_pem()),
        ]);
        let host = |name: Option<&str>| {
            with(&[
                ("PLUGIN_CLIENT_CERT", exported.certificates_pem()),
                ("PLUGIN_CLIENT_KEY", exported.private_key_pem()),
                ("PLUGIN_SERVER_ROOT_CERTS", &certificate),
            ])
            .configure(|config| config.server_name = name.map(str::to_owned))
        };
        assert_eq!(config(&[("PLUGIN_SERVER_NAME", name)]).server_name.as_deref(), Some(name));
        let launched = host(Some(name)).launch(secured.clone()).await.unwrap();
        assert!(launched.security().is_mutual());
        host(None).launch(secured.clone()).await.expect_err("the name is not localhost");
        host(Some("elsewhere")).launch(secured.clone()).await.expect_err("not the name in the certificate");
        assert_eq!(
            fault_code(host(Some("no name")).launch(secured).await),
            "rpcplugin::security::tls_settings"
        );

        // Attaching has the same setting.
        let there = || {
            let authorities = RootCertificates::from_pem(&certificate).unwrap();
            let attachment = Attachment::from(launched.reattach_config());
            attachment.secured(own.clone(), Trust::Roots(authorities)).unwrap()
        };
        let host = with(&[]);
        host.attach(there().server_name(name)).await.unwrap().ping().await.unwrap();
        host.attach(there()).await.expect_err("the name is not localhost");
        host.attach(there().server_name("no name")).await.expect_err("not a valid name");
    }
}
