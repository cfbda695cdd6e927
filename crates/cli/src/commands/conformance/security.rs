//! AutoMTLS: the certificate, and which clients the plugin serves.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rpcplugin::{
    tls::{Identity, PeerCertificate},
    transport::Security,
};

use super::check::{
    Check, CheckFailure, Mutual, PrintedLine, Verdict, check, fail, one_line, printed_line, served_mutual,
    served_plain, supports_auto_mtls,
};
use crate::raw_host::{
    Impostor, PluginUnderTest, RESPONSE_TIMEOUT, alpn, channel, health, impostor_channel, is_response,
    is_served, names_localhost,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "mtls-certificate",
        Must,
        certificate,
        "With PLUGIN_CLIENT_CERT in the environment the sixth field is the plugin's certificate: its DER in standard base64 \
         without padding. Go's decoder rejects padding.",
        "Generate an ephemeral certificate and print its DER in base64 without padding.",
    ),
    check!(
        "mtls-serves",
        Must,
        serves,
        "The plugin serves the host with the certificate in PLUGIN_CLIENT_CERT, over mutual TLS.",
        "Trust the certificate in PLUGIN_CLIENT_CERT, and present the certificate of the handshake line.",
    ),
    check!(
        "mtls-alpn",
        Must,
        chooses_h2,
        "TLS negotiates the application protocol h2: hosts with grpc-go 1.67 or later close the connection without it.",
        "Offer `h2` as the application protocol (ALPN) on the plugin's listener.",
    ),
    check!(
        "mtls-name",
        Must,
        name,
        "The plugin's certificate is valid for the name localhost, which Go hosts verify.",
        "Add the DNS name localhost to the certificate's subject alternative names.",
    ),
    check!(
        "mtls-fresh",
        Should,
        fresh,
        "The plugin generates a new certificate at each start, and its key never leaves the process.",
        "Generate the key and the certificate when the plugin starts. Do not ship them.",
    ),
    check!(
        "mtls-refuses-plain",
        Must,
        refuses_plain,
        "Under AutoMTLS the plugin serves no client without TLS.",
        "Listen only with TLS.",
    ),
    check!(
        "mtls-refuses-no-certificate",
        Must,
        refuses_no_certificate,
        "Under AutoMTLS the plugin serves no client without a certificate.",
        "Require a client certificate, and verify it.",
    ),
    check!(
        "mtls-refuses-unknown",
        Must,
        refuses_unknown,
        "Under AutoMTLS the plugin serves only clients with the host's certificate.",
        "Trust only the certificate in PLUGIN_CLIENT_CERT.",
    ),
    check!(
        "mtls-refuses-stolen",
        Must,
        refuses_stolen,
        "Under AutoMTLS a client must have the key of the host's certificate. A copy of the certificate is not enough: every \
         process that can read the plugin's environment has a copy.",
        "Verify the signature in the TLS handshake. A custom verifier must not skip this.",
    ),
    check!(
        "mtls-refuses-own",
        Must,
        refuses_own,
        "Under AutoMTLS the plugin serves no client with a copy of the plugin's certificate and without its key.",
        "Trust only the host's certificate, and verify the signature in the TLS handshake.",
    ),
    check!(
        "mtls-unreadable",
        Must,
        unreadable,
        "With an invalid PLUGIN_CLIENT_CERT the plugin serves no client (as go-plugin), or exits.",
        "Exit if the certificate is invalid. Do not continue without TLS.",
    ),
    check!(
        "plain-serves",
        Must,
        serves_plain,
        "Without PLUGIN_CLIENT_CERT the plugin serves in plain text, unless it has its own certificates.",
        "Enable TLS only if the host requests it.",
    ),
];

async fn certificate(plugin: &PluginUnderTest) -> Verdict {
    supports_auto_mtls(plugin)?;
    let host = Identity::generate()?;
    let PrintedLine { text, line, .. } =
        printed_line(plugin.start().certificate(host.certificate_pem())).await?;
    let field = text.trim().split('|').nth(5).unwrap_or_default();
    if line.certificate.is_none() {
        return fail(match field {
            "" => "the sixth field is empty: the plugin serves in plain text".to_owned(),
            short => format!("the sixth field is not a certificate: {short:?}"),
        });
    }
    let der = match STANDARD_NO_PAD.decode(field) {
        Ok(der) => der,
        Err(error) => return fail(format!("Go cannot decode the sixth field: {error}")),
    };
    let certificate = PeerCertificate::from_der(der)?;
    Ok(format!("{} bytes, {certificate}", certificate.der().len()))
}

async fn serves(plugin: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(plugin).await?;
    let result = health(served.channel().await?, "plugin").await;
    if is_response(&result) { Ok("the plugin serves its host".to_owned()) } else { fail(broken(result)) }
}

async fn chooses_h2(plugin: &PluginUnderTest) -> Verdict {
    let Mutual { served, host, .. } = served_mutual(plugin).await?;
    match alpn(&served.address, &host).await?.as_deref() {
        Some("h2") => Ok("h2".to_owned()),
        Some(other) => fail(format!("the plugin selects {other}")),
        None => fail("the plugin selects no protocol"),
    }
}

async fn name(plugin: &PluginUnderTest) -> Verdict {
    let Mutual { certificate, .. } = served_mutual(plugin).await?;
    names_localhost(&certificate)?;
    Ok("localhost".to_owned())
}

async fn fresh(plugin: &PluginUnderTest) -> Verdict {
    let (one, other) = (served_mutual(plugin).await?.certificate, served_mutual(plugin).await?.certificate);
    if one == other {
        fail(format!("two launches have the same certificate, {one}"))
    } else {
        Ok(format!("{one}, then {other}"))
    }
}

async fn refuses_plain(plugin: &PluginUnderTest) -> Verdict {
    refuses(plugin, Impostor::PlainText).await
}

async fn refuses_no_certificate(plugin: &PluginUnderTest) -> Verdict {
    refuses(plugin, Impostor::NoCertificate).await
}

async fn refuses_unknown(plugin: &PluginUnderTest) -> Verdict {
    refuses(plugin, Impostor::UnknownCertificate).await
}

async fn refuses_stolen(plugin: &PluginUnderTest) -> Verdict {
    refuses(plugin, Impostor::HostCertificate).await
}

async fn refuses_own(plugin: &PluginUnderTest) -> Verdict {
    refuses(plugin, Impostor::PluginCertificate).await
}

async fn unreadable(plugin: &PluginUnderTest) -> Verdict {
    supports_auto_mtls(plugin)?;
    let printed = match printed_line(plugin.start().certificate("no certificate".to_owned())).await {
        Ok(printed) => printed,
        Err(CheckFailure::Fail(seen)) => return Ok(seen),
        Err(skipped) => return Err(skipped),
    };
    let unknown = Identity::generate()?;
    for impostor in [Impostor::PlainText, Impostor::NoCertificate, Impostor::UnknownCertificate] {
        let address = &printed.address;
        if is_served(impostor, address, &unknown, &unknown.peer_certificate()).await {
            return fail(match impostor {
                Impostor::PlainText => "the plugin serves every client in plain text",
                _ => "the plugin serves every client with TLS",
            });
        }
    }
    Ok("the plugin prints a handshake line and serves no client".to_owned())
}

async fn serves_plain(plugin: &PluginUnderTest) -> Verdict {
    supports_auto_mtls(plugin)?;
    let served = served_plain(plugin).await?;
    let result = health(channel(&served.address, Security::Plain).await?, "plugin").await;
    if is_response(&result) {
        Ok("the plugin responds in plain text".to_owned())
    } else {
        fail(broken(result))
    }
}

/// Checks that the plugin refuses an impostor, and still serves its host afterwards.
async fn refuses(plugin: &PluginUnderTest, impostor: Impostor) -> Verdict {
    let Mutual { served, host, certificate } = served_mutual(plugin).await?;
    let call = async {
        let channel = impostor_channel(impostor, &served.address, &host, &certificate).await;
        let channel = channel.map_err(|error| one_line(&error))?;
        let result = health(channel, "plugin").await;
        if is_response(&result) { Ok(()) } else { Err(broken(result)) }
    };
    let refusal = match tokio::time::timeout(RESPONSE_TIMEOUT, call).await {
        Ok(Ok(())) => return fail("the plugin serves an unauthorized client"),
        Ok(Err(refusal)) => refusal,
        Err(_) => format!("no response within {} s", RESPONSE_TIMEOUT.as_secs()),
    };
    served.still_serves("the unauthorized client was refused").await?;
    Ok(format!("refused: {refusal}"))
}

fn broken(result: Result<i32, tonic::Status>) -> String {
    result.err().map_or_else(|| "a response".to_owned(), |status| one_line(&status))
}
