//! Each fault in PEM text has its origin, its code and help.

use std::error::Error as _;

use miette::Diagnostic;
use rpcplugin_mtls::{Identity, IdentityError, PeerCertificate, PeerCertificateError};

use crate::parties::{data, data_path};

/// Loads an identity and checks the code and the text of the error.
#[track_caller]
fn check(certificates: &str, key: &str, code: &str, mentions: &[&str]) {
    let error = Identity::from_pem(certificates, key).expect_err("this must not load");
    let message = error.to_string();
    assert_eq!(error.code().unwrap().to_string(), format!("rpcplugin::security::{code}"), "{message}");
    for mention in mentions {
        assert!(message.contains(mention), "`{mention}` is missing from `{message}`");
    }
    assert!(error.help().is_some_and(|help| help.to_string().len() > 20), "{message} comes without help");
    if let Some(source) = error.source() {
        assert!(!message.contains(&source.to_string()), "{message} repeats its source");
    }
}

fn file(name: &str) -> String {
    format!("file://{}", data_path(name).display())
}

fn certificate() -> String {
    data("p256.cert.pem")
}

fn key() -> String {
    data("p256.pkcs8.pem")
}

#[test]
fn a_missing_file() {
    check(
        "file:///nowhere/cert.pem",
        &key(),
        "pem_not_found",
        &["`/nowhere/cert.pem`", "certificate", "exist"],
    );
    check(&certificate(), "file:///nowhere/key.pem", "pem_not_found", &["`/nowhere/key.pem`", "private key"]);
}

#[test]
fn an_unreadable_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    check(&format!("file://{path}"), &key(), "pem_not_readable", &[&path, "certificate"]);
    check(&certificate(), &format!("file://{path}"), "pem_not_readable", &[&path, "private key"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let path = path.display().to_string();
    check(&format!("file://{path}"), &key(), "pem_not_readable", &[&path, "certificate"]);
}

#[test]
fn a_file_has_at_most_4_mib() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.pem");
    let mut text = certificate();
    text.extend(std::iter::repeat_n('\n', 4 * 1024 * 1024 - text.len()));
    std::fs::write(&path, &text).unwrap();
    let setting = format!("file://{}", path.display());
    Identity::from_pem(&setting, &key()).unwrap();
    std::fs::write(&path, text + "\n").unwrap();
    check(&setting, &key(), "pem_too_large", &[&path.display().to_string(), "4194304"]);
}

#[test]
fn text_without_certificate_or_key() {
    check("", &key(), "pem_no_certificate", &["inline PEM"]);
    check("/etc/ssl/cert.pem", &key(), "pem_no_certificate", &["inline PEM"]);
    check(&certificate(), "", "pem_no_key", &["inline PEM"]);
    let name = data_path("README.md").display().to_string();
    check(&file("README.md"), &key(), "pem_no_certificate", &[&name]);
    check(&certificate(), &file("README.md"), "pem_no_key", &[&name]);
}

#[test]
fn certificate_and_key_swapped() {
    check(&key(), &certificate(), "pem_key_for_certificate", &["inline PEM"]);
    check(&file("p256.sec1.pem"), &key(), "pem_key_for_certificate", &["p256.sec1.pem"]);
    check(&file("rsa2048.pkcs1.pem"), &key(), "pem_key_for_certificate", &["rsa2048.pkcs1.pem"]);
    check(&data("p256.encrypted-pkcs8.pem"), &key(), "pem_key_for_certificate", &["inline PEM"]);
    check(&data("p256.encrypted-sec1.pem"), &key(), "pem_key_for_certificate", &["inline PEM"]);
    check(&certificate(), &file("p256.cert.pem"), "pem_certificate_for_key", &["p256.cert.pem"]);
}

#[test]
fn encrypted_keys() {
    check(
        &certificate(),
        &file("p256.encrypted-pkcs8.pem"),
        "pem_encrypted_key",
        &["p256.encrypted-pkcs8.pem"],
    );
    check(&certificate(), &data("p256.encrypted-sec1.pem"), "pem_encrypted_key", &["inline PEM"]);
}

#[test]
fn damaged_text() {
    check(&certificate().replace("MII", "!!!"), &key(), "pem_damaged", &["inline PEM"]);
    let cut = certificate();
    check(&cut[..cut.len() - 30], &key(), "pem_damaged", &["inline PEM"]);
    check(&certificate(), &key().replace('M', "*"), "pem_damaged", &["inline PEM"]);
}

#[test]
fn text_whose_line_breaks_were_lost() {
    check(&certificate().replace('\n', "\\n"), &key(), "pem_damaged", &["inline PEM"]);
}

#[test]
fn an_invalid_certificate() {
    let nothing = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    check(nothing, &key(), "pem_bad_certificate", &["inline PEM", "certificate 1"]);
    check(&format!("{}{nothing}", certificate()), &key(), "pem_bad_certificate", &["certificate 2"]);
}

#[test]
fn keys_that_cannot_be_used() {
    // The start of an Ed448 key: only the algorithm is read.
    let ed448 = "-----BEGIN PRIVATE KEY-----\nMAUGAytlcQ==\n-----END PRIVATE KEY-----\n";
    check(&certificate(), ed448, "identity_unsupported_key", &["inline PEM", "Ed448"]);
    let nothing = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    check(&certificate(), nothing, "identity_unusable_key", &["inline PEM"]);
}

#[test]
fn a_key_of_another_certificate() {
    check(
        &file("p256.cert.pem"),
        &file("p384.pkcs8.pem"),
        "identity_key_mismatch",
        &["p256.cert.pem", "p384.pkcs8.pem"],
    );
    let another = Identity::generate().unwrap();
    check(&certificate(), another.export().private_key_pem(), "identity_key_mismatch", &["inline PEM"]);
    // The issuer before the leaf.
    let backwards = format!("{}{}", data("p384.cert.pem"), certificate());
    check(&backwards, &key(), "identity_key_mismatch", &["inline PEM"]);
}

#[test]
fn certificates_outside_their_dates() {
    check(
        &file("expired.cert.pem"),
        &key(),
        "identity_expired",
        &["expired.cert.pem", "2021-01-01 00:00 UTC"],
    );
    check(
        &file("not-yet-valid.cert.pem"),
        &key(),
        "identity_not_yet_valid",
        &["not-yet-valid.cert.pem", "2119-01-01 00:00 UTC"],
    );
}

#[test]
fn no_error_quotes_the_key() {
    let secret = data("p384.pkcs8.pem");
    let error = Identity::from_pem(&certificate(), &secret).unwrap_err();
    let line = secret.lines().nth(1).unwrap();
    assert!(!format!("{error:?} {error}").contains(line));
    assert!(matches!(error, IdentityError::KeyMismatch { .. }));
}

#[test]
fn a_certificate_of_version_1() {
    let old = data("version-1.cert.pem");
    check(&old, &key(), "pem_bad_certificate", &["certificate 1", "version 3"]);
    let Err(PeerCertificateError::NotPem { source }) = PeerCertificate::from_pem(&old) else {
        panic!("it is no PEM certificate that can be pinned");
    };
    assert!(source.to_string().contains("version 3"), "{source}");
}
