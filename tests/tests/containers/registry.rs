//! Images that are pulled from a registry, which asks for a name and a password.

use std::{collections::HashMap, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rpcplugin::docker::{Credentials, Pull};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// A password whose Base64 differs between the two alphabets.
const PASSWORD: &str = "~~~???>>>";

/// A registry with one image, `kit:1`.
struct Registry {
    address: String,
    /// The digest of the manifest.
    digest: String,
    _serving: AbortOnDropHandle<()>,
}

/// What is served under a path: its type, and its bytes.
type Content = HashMap<String, (String, Vec<u8>)>;

impl Registry {
    /// Serves the image that Podman has under this name.
    async fn with(image: &str) -> Self {
        let saved = TempDir::new().unwrap();
        let dir = saved.path().join("image");
        podman::output(&format!("save --quiet --format oci-dir --output {} {image}", dir.display()));
        let (content, digest) = content(&dir);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let content = Arc::new(content);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&content)));
            }
        });
        Self { address, digest, _serving: AbortOnDropHandle::new(serving) }
    }
}

fn content(dir: &Path) -> (Content, String) {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let manifest = &index["manifests"][0];
    let digest = manifest["digest"].as_str().unwrap().to_owned();
    let mut content = Content::new();
    for blob in fs::read_dir(dir.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let bytes = fs::read(blob.path()).unwrap();
        let name = format!("sha256:{}", blob.file_name().to_str().unwrap());
        if name == digest {
            let kind = manifest["mediaType"].as_str().unwrap().to_owned();
            content.insert("/v2/kit/manifests/1".to_owned(), (kind.clone(), bytes.clone()));
            content.insert(format!("/v2/kit/manifests/{digest}"), (kind, bytes.clone()));
        }
        content.insert(format!("/v2/kit/blobs/{name}"), ("application/octet-stream".to_owned(), bytes));
    }
    content.insert("/v2/".to_owned(), ("application/json".to_owned(), b"{}".to_vec()));
    (content, digest)
}

async fn answer(stream: TcpStream, content: Arc<Content>) {
    let mut stream = BufReader::new(stream);
    let (mut request, mut is_allowed) = (String::new(), false);
    let expected = STANDARD.encode(format!("ci:{PASSWORD}"));
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(read) if read > 2 => {}
            _ => break,
        }
        is_allowed |=
            line.to_lowercase().starts_with("authorization: basic") && line.trim().ends_with(&expected);
        if request.is_empty() {
            request = line;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let nothing = (String::new(), Vec::new());
    let (status, (kind, bytes)) = match content.get(path) {
        _ if !is_allowed => ("401 Unauthorized", &nothing),
        Some(found) => ("200 OK", found),
        None => ("404 Not Found", &nothing),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm=\"kit\"\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        bytes.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    if method != "HEAD" {
        let _ = stream.write_all(bytes).await;
    }
    let _ = stream.shutdown().await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn an_image_is_pulled_with_credentials_and_pinned() {
    let registry = Registry::with(RUST).await;
    let service = podman::Service::with_registry(&registry.address);
    let image = format!("{}/kit:1", registry.address);
    let container = Container::new(&image).engine(service.engine()).entrypoint(["/kit-plugin"]);
    let place = Place::new();
    let error = |error: LaunchError| (code(&error), format!("{error:?}"));

    let (missing, _) = error(place.launch(&container).await.map(drop).unwrap_err());
    assert_eq!(missing, "rpcplugin::docker::image_missing");
    let pulled = container.pull(Pull::IfMissing);
    let (denied, text) = error(place.launch(&pulled).await.map(drop).unwrap_err());
    assert_eq!(denied, "rpcplugin::docker::pull_failed");
    assert!(text.contains("auth"), "{text}");

    let pulled = pulled.credentials(Credentials::new("ci", PASSWORD));
    let (wrong, text) = error(
        place
            .launch(&pulled.clone().digest(format!("sha256:{}", "0".repeat(64))))
            .await
            .map(drop)
            .unwrap_err(),
    );
    assert_eq!(wrong, "rpcplugin::docker::wrong_digest");
    assert!(text.contains(&registry.digest) && !text.contains(PASSWORD), "{text}");

    let plugin = place.launch(&pulled.digest(&registry.digest)).await.unwrap();
    assert!(implementation(&plugin).await.contains("rpcplugin"));
    let container = name(&plugin);
    plugin.shut_down().await;
    place.is_empty(&container).await;
    podman::output(&format!("rmi --force {image}"));
}
