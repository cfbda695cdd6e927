//! Peers with certificates that roots issued.

use miette::Diagnostic as _;
use rcgen::{CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa};
use rpcplugin_mtls::{Identity, MutualTls, PemError, RootCertificates, TlsError, Trust};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};

use crate::parties::{
    Authority, Credentials, OtherPeer, VERSIONS, data, data_path, handshake, localhost, trusting,
};

fn us() -> Identity {
    Identity::generate().unwrap()
}

/// An ordinary certificate for both roles.
fn leaf(authority: &Authority) -> Credentials {
    authority.issue(&["localhost", "127.0.0.1"], |_| {})
}

#[test]
fn a_certificate_of_a_root_is_accepted_in_both_roles() {
    let authority = Authority::new("ours");
    let ours = trusting(&us(), &authority.own.certificates);
    for version in VERSIONS {
        let peer = leaf(&authority).foreign(version);
        handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
        handshake(peer.client(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn a_chain_through_an_intermediate_is_accepted() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let leaf = leaf(&between);
    let peer = Credentials {
        certificates: format!("{}{}", leaf.certificates, between.own.certificates),
        key: leaf.key.clone(),
    }
    .identity();
    let us = us();
    let theirs = trusting(&peer, &us.certificate_pem());
    assert!(peer.certificate_pem().lines().eq(leaf.certificates.lines()), "the leaf comes first");
    let ours = trusting(&us, &root.own.certificates);
    for version in VERSIONS {
        let peer = OtherPeer::with(&peer, version);
        handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
        handshake(peer.client(), ours.server_config(), localhost()).assert_connected();
        // Without the intermediate certificate there is no path to the root.
        let outcome = handshake(ours.client_config(), leaf.foreign(version).server(), localhost());
        outcome.assert_client_refuses(CertificateError::UnknownIssuer);
    }
    // This crate presents the whole chain too.
    handshake(theirs.client_config(), ours.server_config(), localhost()).assert_connected();
}

#[test]
fn a_certificate_of_another_root_is_refused_in_both_roles() {
    let ours = trusting(&us(), &Authority::new("same name").own.certificates);
    let peer = leaf(&Authority::new("other name"));
    for version in VERSIONS {
        let peer = peer.foreign(version);
        let outcome = handshake(ours.client_config(), peer.server(), localhost());
        outcome.assert_client_refuses(CertificateError::UnknownIssuer);
        let outcome = handshake(peer.client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(CertificateError::UnknownIssuer);
        let outcome = handshake(OtherPeer::anonymous(version).client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(Error::NoCertificatesPresented);
    }
}

#[test]
fn a_root_of_the_same_name_with_another_key_is_refused() {
    let ours = trusting(&us(), &Authority::new("same").own.certificates);
    let peer = leaf(&Authority::new("same")).foreign(VERSIONS[1]);
    let outcome = handshake(ours.client_config(), peer.server(), localhost());
    outcome.assert_client_refuses(CertificateError::BadSignature);
}

#[test]
fn a_server_must_carry_the_dialed_name() {
    let authority = Authority::new("ours");
    let peer = authority.issue(&["plugin.example", "192.0.2.7"], |_| {}).foreign(VERSIONS[1]);
    for (name, carried) in
        [("plugin.example", true), ("192.0.2.7", true), ("localhost", false), ("192.0.2.8", false)]
    {
        let ours = trusting(&us(), &authority.own.certificates).with_server_name(name).unwrap();
        assert_eq!(ours.server_name(), ServerName::try_from(name).unwrap());
        let outcome = handshake(ours.client_config(), peer.server(), ours.server_name());
        if carried {
            outcome.assert_connected();
        } else {
            assert!(
                matches!(
                    outcome.client,
                    Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
                ),
                "{name}: {outcome:?}"
            );
        }
    }
}

#[test]
fn an_authority_presented_as_a_leaf_is_accepted_if_it_is_in_the_bundle() {
    let authority = Authority::new("both");
    let ours = trusting(&us(), &authority.own.certificates);
    let by_another = trusting(&us(), &Authority::new("another").own.certificates);
    for version in VERSIONS {
        let peer = authority.own.foreign(version);
        handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
        handshake(peer.client(), ours.server_config(), localhost()).assert_connected();
        let outcome = handshake(by_another.client_config(), peer.server(), localhost());
        assert!(matches!(outcome.client, Err(Error::InvalidCertificate(_))), "{outcome:?}");
        let outcome = handshake(peer.client(), by_another.server_config(), localhost());
        assert!(matches!(outcome.server, Err(Error::InvalidCertificate(_))), "{outcome:?}");
    }
}

#[test]
fn the_go_plugin_identity_is_accepted_if_it_is_in_the_bundle() {
    let ours = trusting(&us(), &data("go-plugin-p521.cert.pem"));
    for version in VERSIONS {
        let peer = OtherPeer::go_plugin(rustls::SignatureScheme::ECDSA_NISTP521_SHA512, version);
        handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
        handshake(peer.client(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn a_leaf_in_the_bundle_is_accepted_without_its_issuer() {
    let leaf = leaf(&Authority::new("absent"));
    let bundle = format!("{}{}", Authority::new("unrelated").own.certificates, leaf.certificates);
    let ours = trusting(&us(), &bundle);
    let elsewhere = ours.clone().with_server_name("elsewhere.example").unwrap();
    for version in VERSIONS {
        let peer = leaf.foreign(version);
        handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
        handshake(peer.client(), ours.server_config(), localhost()).assert_connected();
        // A certificate of the bundle needs the right name too.
        let outcome = handshake(elsewhere.client_config(), peer.server(), elsewhere.server_name());
        assert!(
            matches!(
                outcome.client,
                Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
            ),
            "{outcome:?}"
        );
        // It also needs its key.
        let thief = OtherPeer::with_copied_certificate(&leaf.identity(), &us(), version);
        let outcome = handshake(ours.client_config(), thief.server(), localhost());
        outcome.assert_client_refuses(CertificateError::BadSignature);
        let outcome = handshake(thief.client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(CertificateError::BadSignature);
    }
}

#[test]
fn a_leaf_in_the_bundle_verifies_no_other_certificate() {
    let leaf = Authority::changed("leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    let bundles = [
        leaf.own.certificates.clone(),
        format!("{}{}", leaf.own.certificates, Authority::new("unrelated").own.certificates),
    ];
    for bundle in bundles {
        let ours = trusting(&us(), &bundle);
        for version in VERSIONS {
            let holder = leaf.own.foreign(version);
            handshake(ours.client_config(), holder.server(), localhost()).assert_connected();
            handshake(holder.client(), ours.server_config(), localhost()).assert_connected();
            let child = self::leaf(&leaf).foreign(version);
            let outcome = handshake(ours.client_config(), child.server(), localhost());
            outcome.assert_client_refuses(CertificateError::UnknownIssuer);
            let outcome = handshake(child.client(), ours.server_config(), localhost());
            outcome.assert_server_refuses(CertificateError::UnknownIssuer);
        }
    }
}

#[test]
fn a_leaf_in_the_bundle_with_an_empty_usage_is_not_an_authority() {
    let leaf = Authority::changed("leaf", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        // Extended key usage, a sequence without elements.
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], vec![0x30, 0x00])];
    });
    let ours = trusting(&us(), &leaf.own.certificates);
    let peer = self::leaf(&Authority::new("another")).foreign(VERSIONS[1]);
    let outcome = handshake(ours.client_config(), peer.server(), localhost());
    outcome.assert_client_refuses(CertificateError::UnknownIssuer);
}

#[test]
fn an_expired_root_verifies_no_certificate() {
    let expired = Authority::changed("expired", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    // A bundle may have roots outside their dates beside others: old and new roots overlap during a change.
    let bundle = format!("{}{}", Authority::new("present").own.certificates, expired.own.certificates);
    let listed: Vec<_> = RootCertificates::from_pem(&bundle).unwrap().out_of_date().collect();
    let [(2, why)] = listed[..] else { panic!("{listed:?}") };
    assert_eq!(why.to_string(), "expired on 2021-01-01 00:00 UTC");
    let ours = trusting(&us(), &bundle);
    for version in VERSIONS {
        let peer = leaf(&expired).foreign(version);
        let outcome = handshake(ours.client_config(), peer.server(), localhost());
        outcome.assert_client_refuses(CertificateError::UnknownIssuer);
        let outcome = handshake(peer.client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(CertificateError::UnknownIssuer);
    }
}

#[test]
fn an_issued_certificate_without_its_key_is_refused() {
    let authority = Authority::new("ours");
    let ours = trusting(&us(), &authority.own.certificates);
    let victim = leaf(&authority).identity();
    for version in VERSIONS {
        let thief = OtherPeer::with_copied_certificate(&victim, &us(), version);
        let outcome = handshake(ours.client_config(), thief.server(), localhost());
        outcome.assert_client_refuses(CertificateError::BadSignature);
        let outcome = handshake(thief.client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(CertificateError::BadSignature);
    }
}

#[test]
fn certificates_outside_their_dates_are_refused_even_from_the_bundle() {
    for name in ["expired.cert.pem", "not-yet-valid.cert.pem"] {
        let bundle = format!("{}{}", data(name), Authority::new("present").own.certificates);
        let ours = trusting(&us(), &bundle);
        let peer = OtherPeer::new(&data(name), &data("p256.pkcs8.pem"), VERSIONS[1]);
        for refusal in [
            handshake(ours.client_config(), peer.server(), localhost()).client,
            handshake(peer.client(), ours.server_config(), localhost()).server,
        ] {
            let in_time = !matches!(
                refusal,
                Err(Error::InvalidCertificate(
                    CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
                ))
            );
            assert!(!in_time, "{name}: {refusal:?}");
        }
    }
}

#[test]
fn a_bundle_outside_its_dates_is_refused_with_its_file_and_the_date() {
    for (name, date) in [
        ("expired.cert.pem", "the first expired on"),
        ("not-yet-valid.cert.pem", "the first is not valid before"),
    ] {
        let file = data_path(name).display().to_string();
        let error = RootCertificates::from_pem(&format!("file://{file}")).unwrap_err();
        assert_eq!(error.code().unwrap().to_string(), "rpcplugin::security::pem_out_of_date");
        let text = error.to_string();
        assert!(text.contains(&file) && text.contains(date), "{text}");
        assert!(error.help().unwrap().to_string().contains("clock"));
    }
}

#[test]
fn a_certificate_for_servers_only_does_not_make_a_client() {
    let authority = Authority::new("ours");
    let ours = trusting(&us(), &authority.own.certificates);
    let peer = authority
        .issue(&["localhost"], |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.distinguished_name.push(DnType::CommonName, "server");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
        .foreign(VERSIONS[1]);
    handshake(ours.client_config(), peer.server(), localhost()).assert_connected();
    let outcome = handshake(peer.client(), ours.server_config(), localhost());
    assert!(matches!(outcome.server, Err(Error::InvalidCertificate(_))), "{outcome:?}");
}

#[test]
fn a_generated_identity_satisfies_a_web_verifier_in_both_roles_by_every_local_name() {
    // This crate's verifier accepts a byte-equal certificate early, so this test uses rustls' own verifier.
    use std::sync::Arc;

    use rpcplugin_mtls::provider;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::server::WebPkiClientVerifier;

    for identity in [us(), Identity::generate_with(rpcplugin_mtls::KeyAlgorithm::P384).unwrap()] {
        let der = CertificateDer::from(identity.certificate_der().to_vec());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der.clone()).unwrap();
        let roots = Arc::new(roots);
        let server = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider()).build().unwrap();
        let client = WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap();
        for offset in [-4 * 60, 0, 29 * 365 * 24 * 60 * 60_i64] {
            let seconds = UnixTime::now().as_secs().saturating_add_signed(offset);
            let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
            for name in ["localhost", "127.0.0.1", "::1"] {
                server.verify_server_cert(&der, &[], &ServerName::try_from(name).unwrap(), &[], at).unwrap();
            }
            client.verify_client_cert(&der, &[], at).unwrap();
        }
    }
}

#[test]
fn a_bundle_is_read_from_a_file_and_shown_by_fingerprints() {
    let bundle =
        RootCertificates::from_pem(&format!("file://{}", data_path("rsa2048.cert.pem").display())).unwrap();
    let shown = format!("{bundle:?}");
    assert!(shown.starts_with("[PeerCertificate(sha256:"), "{shown}");
}

#[test]
fn every_certificate_of_a_bundle_must_parse() {
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let bundle = format!("{}{damaged}", data("p256.cert.pem"));
    assert!(matches!(RootCertificates::from_pem(&bundle), Err(PemError::BadCertificate { number: 2, .. })));
    assert!(matches!(RootCertificates::from_pem(""), Err(PemError::NoCertificate { .. })));
}

#[test]
fn an_invalid_name_is_refused() {
    let authorities = RootCertificates::from_pem(&data("p256.cert.pem")).unwrap();
    let tls = MutualTls::new(us(), Trust::Roots(authorities)).unwrap();
    for name in ["", "two words", "localhost:1234"] {
        let error = tls.clone().with_server_name(name).unwrap_err();
        assert!(matches!(error, TlsError::ServerName { .. }), "{name:?}");
        assert_eq!(error.code().unwrap().to_string(), "rpcplugin::security::tls_server_name");
    }
}
