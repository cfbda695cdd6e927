//! Certificates from Go, with the same results as in Go: every hash with every curve, and every extended key usage.

use crate::parties::{OtherPeer, VERSIONS, data, handshake, localhost, trusting};

/// The table of `make.go`: the certificate, the bundle, the role, and Go's result.
#[test]
fn go_and_this_crate_accept_the_same_certificates() {
    let verdicts = data("crosswise/verdicts.txt");
    let key = data("crosswise/key.pem");
    let us = rpcplugin_mtls::Identity::generate().unwrap();
    let mut judged = 0;
    for line in verdicts.lines() {
        let [presented, bundle, role, verdict] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let file = |name: &str| data(&format!("crosswise/{name}"));
        let ours = trusting(&us, &file(bundle));
        for version in VERSIONS {
            let peer = OtherPeer::new(&file(presented), &key, version);
            let refusal = match role {
                "server" => handshake(ours.client_config(), peer.server(), localhost()).client,
                _ => handshake(peer.client(), ours.server_config(), localhost()).server,
            };
            assert_eq!(refusal.is_ok(), verdict == "yes", "{line}: {refusal:?}");
            if let Err(error) = refusal {
                let text = error.to_string();
                assert!(text.contains("extended key usage for"), "{line}: {text}");
            }
            judged += 1;
        }
    }
    assert_eq!(judged, 108);
}

/// Go refuses these certificates too.
#[test]
fn an_unsupported_algorithm_is_named() {
    let key = data("crosswise/key.pem");
    let ours = trusting(&rpcplugin_mtls::Identity::generate().unwrap(), &data("crosswise/odd.ca.pem"));
    for (file, name) in [
        ("odd-sha1.pem", "ecdsa-with-SHA1,"),
        ("odd-sha224.pem", "ecdsa-with-SHA224,"),
        ("odd-sha3-256.pem", "ecdsa_with_SHA3-256,"),
    ] {
        let peer = OtherPeer::new(&data(&format!("crosswise/{file}")), &key, VERSIONS[1]);
        for refusal in [
            handshake(ours.client_config(), peer.server(), localhost()).client,
            handshake(peer.client(), ours.server_config(), localhost()).server,
        ] {
            let text = refusal.unwrap_err().to_string();
            assert!(text.contains(name) && text.contains("issue it again with SHA-256"), "{text}");
        }
    }
}
