//! AutoMTLS: who is let in, and who is not.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rpcplugin::{
    mtls::{Identity, PeerCertificate},
    transport::Security,
};

use super::check::{
    Announced, Check, CheckFailure, Mutual, Verdict, announced, check, fail, in_one_line, served_mutual,
    served_plain, takes_offers,
};
use crate::raw_host::{
    ANSWER_TIMEOUT, Impostor, PluginUnderTest, alpn, answered, channel, health, impostor_channel, is_served,
    names_localhost,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "mtls-certificate",
        Must,
        certificate,
        "With PLUGIN_CLIENT_CERT in the environment the sixth field is the plugin's certificate: DER in standard base64 \
         without padding, which Go's decoder refuses.",
        "Make a one-time certificate and print it as unpadded base64 of its DER.",
    ),
    check!(
        "mtls-serves",
        Must,
        serves,
        "The host that sent the certificate is let in, by mutual TLS with the two certificates.",
        "Trust the certificate in PLUGIN_CLIENT_CERT, and present the one of the handshake line.",
    ),
    check!(
        "mtls-alpn",
        Must,
        chooses_h2,
        "TLS agrees on the application protocol h2: hosts with grpc-go 1.67 or later hang up without it.",
        "Offer `h2` as the application protocol (ALPN) on the plugin's listener.",
    ),
    check!(
        "mtls-name",
        Must,
        name,
        "The plugin's certificate carries the name localhost, which Go hosts dial and verify.",
        "Put the DNS name localhost into the certificate's subject alternative names.",
    ),
    check!(
        "mtls-fresh",
        Should,
        fresh,
        "The certificate is made anew at each start, and its key never leaves the process.",
        "Generate key and certificate when the plugin starts instead of shipping them.",
    ),
    check!(
        "mtls-refuses-plain",
        Must,
        refuses_plain,
        "Under AutoMTLS nobody is served without TLS.",
        "Listen with TLS only.",
    ),
    check!(
        "mtls-refuses-nobody",
        Must,
        refuses_nobody,
        "Under AutoMTLS nobody is served without a client certificate.",
        "Require a client certificate, and verify it.",
    ),
    check!(
        "mtls-refuses-unknown",
        Must,
        refuses_unknown,
        "Under AutoMTLS nobody is served with another certificate than the host's.",
        "Trust the one certificate in PLUGIN_CLIENT_CERT, and no other.",
    ),
    check!(
        "mtls-refuses-stolen",
        Must,
        refuses_stolen,
        "A copy of the host's certificate is no proof: whoever can read the plugin's environment has one. Its key has to be \
         proven in the TLS handshake.",
        "Verify the signature of the TLS handshake; a verifier of one's own must not skip that.",
    ),
    check!(
        "mtls-refuses-own",
        Must,
        refuses_own,
        "A copy of the plugin's own certificate, without its key, opens nothing.",
        "Trust the host's certificate only, and verify the handshake's signature.",
    ),
    check!(
        "mtls-unreadable",
        Must,
        unreadable,
        "A PLUGIN_CLIENT_CERT that cannot be read does not open the door: nobody is served (go-plugin trusts nobody then), or \
         the plugin ends.",
        "Take an unreadable certificate for a reason to end, never for one to go on without TLS.",
    ),
    check!(
        "plain-serves",
        Must,
        serves_plain,
        "Without PLUGIN_CLIENT_CERT the plugin serves in plain text (unless it has certificates of its own, which host and \
         plugin then agree upon elsewhere).",
        "Switch TLS on only when the host asks for it.",
    ),
];

async fn certificate(subject: &PluginUnderTest) -> Verdict {
    takes_offers(subject)?;
    let host = Identity::generate()?;
    let Announced { line, answer, .. } =
        announced(subject.start().certificate(host.certificate_pem())).await?;
    let field = line.trim().split('|').nth(5).unwrap_or_default();
    if answer.certificate.is_none() {
        return fail(match field {
            "" => "the sixth field is empty: the plugin goes on in plain text".to_owned(),
            short => format!("the sixth field is no certificate: {short:?}"),
        });
    }
    let der = match STANDARD_NO_PAD.decode(field) {
        Ok(der) => der,
        Err(error) => return fail(format!("Go cannot decode the sixth field: {error}")),
    };
    let certificate = PeerCertificate::from_der(der)?;
    Ok(format!("{} bytes, {certificate}", certificate.der().len()))
}

async fn serves(subject: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(subject).await?;
    let result = health(served.channel().await?, "plugin").await;
    if answered(&result) { Ok("its host is let in".to_owned()) } else { fail(broken(result)) }
}

async fn chooses_h2(subject: &PluginUnderTest) -> Verdict {
    let Mutual { served, host, .. } = served_mutual(subject).await?;
    match alpn(&served.answer.endpoint, &host).await?.as_deref() {
        Some("h2") => Ok("h2".to_owned()),
        Some(other) => fail(format!("it chooses {other}")),
        None => fail("it chooses nothing"),
    }
}

async fn name(subject: &PluginUnderTest) -> Verdict {
    let Mutual { plugin, .. } = served_mutual(subject).await?;
    names_localhost(&plugin)?;
    Ok("localhost".to_owned())
}

async fn fresh(subject: &PluginUnderTest) -> Verdict {
    let (one, other) = (served_mutual(subject).await?.plugin, served_mutual(subject).await?.plugin);
    if one == other {
        fail(format!("two starts have the same certificate, {one}"))
    } else {
        Ok(format!("{one}, then {other}"))
    }
}

async fn refuses_plain(subject: &PluginUnderTest) -> Verdict {
    refuses(subject, Impostor::PlainText).await
}

async fn refuses_nobody(subject: &PluginUnderTest) -> Verdict {
    refuses(subject, Impostor::NoCertificate).await
}

async fn refuses_unknown(subject: &PluginUnderTest) -> Verdict {
    refuses(subject, Impostor::UnknownCertificate).await
}

async fn refuses_stolen(subject: &PluginUnderTest) -> Verdict {
    refuses(subject, Impostor::HostCertificate).await
}

async fn refuses_own(subject: &PluginUnderTest) -> Verdict {
    refuses(subject, Impostor::PluginCertificate).await
}

async fn unreadable(subject: &PluginUnderTest) -> Verdict {
    takes_offers(subject)?;
    let announced = match announced(subject.start().certificate("no certificate".to_owned())).await {
        Ok(announced) => announced,
        Err(CheckFailure::Fail(seen)) => return Ok(seen),
        Err(skipped) => return Err(skipped),
    };
    let nobodys = Identity::generate()?;
    for impostor in [Impostor::PlainText, Impostor::NoCertificate, Impostor::UnknownCertificate] {
        let endpoint = &announced.answer.endpoint;
        if is_served(impostor, endpoint, &nobodys, &nobodys.peer_certificate()).await {
            return fail(match impostor {
                Impostor::PlainText => "it goes on in plain text, and serves anybody",
                _ => "it serves anybody who speaks TLS",
            });
        }
    }
    Ok("it announces itself, and serves nobody".to_owned())
}

async fn serves_plain(subject: &PluginUnderTest) -> Verdict {
    takes_offers(subject)?;
    let served = served_plain(subject).await?;
    let result = health(channel(&served.answer.endpoint, Security::Plain).await?, "plugin").await;
    if answered(&result) { Ok("it answers in plain text".to_owned()) } else { fail(broken(result)) }
}

/// Nothing is answered to a stranger, and the host is none the worse for it.
async fn refuses(subject: &PluginUnderTest, impostor: Impostor) -> Verdict {
    let Mutual { served, host, plugin } = served_mutual(subject).await?;
    let call = async {
        let channel = impostor_channel(impostor, &served.answer.endpoint, &host, &plugin).await;
        let channel = channel.map_err(|error| in_one_line(&error))?;
        let result = health(channel, "plugin").await;
        if answered(&result) { Ok(()) } else { Err(broken(result)) }
    };
    let refusal = match tokio::time::timeout(ANSWER_TIMEOUT, call).await {
        Ok(Ok(())) => return fail("the stranger is served"),
        Ok(Err(refusal)) => refusal,
        Err(_) => format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
    };
    served.still_serves("the stranger was refused").await?;
    Ok(format!("refused: {refusal}"))
}

fn broken(result: Result<i32, tonic::Status>) -> String {
    result.err().map_or_else(|| "answered".to_owned(), |status| in_one_line(&status))
}
