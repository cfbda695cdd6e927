//! The image of a container: found, fetched, and pinned.

use bollard::{auth::DockerCredentials, errors::Error, query_parameters::CreateImageOptionsBuilder};
use futures_util::TryStreamExt as _;
use serde::Deserialize;

use crate::{
    engine::{Connection, Failure, Request},
    error::DockerError,
    options::{Credentials, Pull},
};

/// The image that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct ImageOptions {
    /// The name, with a tag or a digest.
    pub(crate) name: String,
    /// The digest that the image must have.
    pub(crate) digest: Option<String>,
    pub(crate) pull: Pull,
    pub(crate) credentials: Option<Credentials>,
}

/// The image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The id, by which a container is created: between the check of the digest and the start, no other image can take its place.
    pub(crate) id: String,
    /// The user that the image names, or nothing.
    pub(crate) user: String,
}

impl ImageOptions {
    /// Finds the image, after fetching it if that is wanted.
    ///
    /// # Cancel safety
    /// May be dropped. The engine may go on to fetch the image.
    pub(crate) async fn find(&self, connection: &Connection, may_pull: bool) -> Result<Image, DockerError> {
        self.check()?;
        let pull = if may_pull { self.pull } else { Pull::Never };
        if pull == Pull::Always {
            self.pull(connection).await?;
        }
        let found = self.inspect(connection).await;
        match found {
            Err(DockerError::ImageMissing { .. } | DockerError::WrongDigest { .. })
                if pull == Pull::IfMissing =>
            {
                self.pull(connection).await?;
                self.inspect(connection).await
            }
            found => found,
        }
    }

    /// Refuses names that would be another request, and digests that no image has.
    fn check(&self) -> Result<(), DockerError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
        let refuse =
            |value: &str, expected| Err(DockerError::InvalidOption { value: value.to_owned(), expected });
        if self.name.is_empty() || !self.name.bytes().all(fits) || self.name.contains("..") {
            return refuse(&self.name, "the name of an image");
        }
        let is_digest = |digest: &str| {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match &self.digest {
            Some(digest) if !is_digest(digest) => {
                refuse(digest, "a digest: `sha256:` and 64 hexadecimal digits")
            }
            _ => Ok(()),
        }
    }

    async fn inspect(&self, connection: &Connection) -> Result<Image, DockerError> {
        let request = Request::get("inspect the image", format!("/images/{}/json", self.name));
        let found: Inspected = match request.to(&connection.address).await {
            Ok(found) => found,
            Err(failure) if failure.is_missing() => {
                return Err(DockerError::ImageMissing { image: self.name.clone() });
            }
            Err(failure) => return Err(failure.into()),
        };
        let id = if found.id.contains(':') { found.id } else { format!("sha256:{}", found.id) };
        if let Some(expected) = &self.digest {
            let registries = found.repo_digests.iter().flatten();
            let digests = registries.filter_map(|digest| Some(digest.rsplit_once('@')?.1.to_owned()));
            let mut digests: Vec<String> = [id.clone()].into_iter().chain(digests).collect();
            digests.dedup();
            if !digests.contains(expected) {
                return Err(DockerError::WrongDigest {
                    image: self.name.clone(),
                    expected: expected.clone(),
                    found: digests,
                });
            }
        }
        let user = found.config.and_then(|config| config.user).unwrap_or_default();
        Ok(Image { id, user })
    }

    /// Fetches the image. The launch timeout limits the time.
    async fn pull(&self, connection: &Connection) -> Result<(), DockerError> {
        let name = if has_tag(&self.name) { self.name.clone() } else { format!("{}:latest", self.name) };
        let options = CreateImageOptionsBuilder::default().from_image(&name).build();
        let credentials = self.credentials.as_ref().map(|credentials| credentials.for_image(&self.name));
        let progress = connection.docker.create_image(Some(options), None, credentials);
        let pulled = progress.try_for_each(|_| std::future::ready(Ok(()))).await;
        let failed = |message: String| DockerError::PullFailed { image: self.name.clone(), message };
        match pulled {
            Ok(()) => match self.inspect(connection).await {
                Err(DockerError::ImageMissing { .. }) => {
                    Err(failed("the engine reported no error, and does not have the image".to_owned()))
                }
                Err(DockerError::WrongDigest { .. }) | Ok(_) => Ok(()),
                Err(error) => Err(error),
            },
            Err(Error::DockerStreamError { error }) => Err(failed(error)),
            Err(Error::DockerResponseServerError { message, .. }) => Err(failed(message)),
            Err(error) => match connection.failure("pull the image", error) {
                Failure::Error(DockerError::Broken { source, .. }) => {
                    Err(failed(format!("the answer of the engine broke off: {source}")))
                }
                failure => Err(failure.into()),
            },
        }
    }
}

impl Credentials {
    /// As the engine takes them.
    fn for_image(&self, image: &str) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.user.clone()),
            password: Some(self.password.clone()),
            serveraddress: Some(self.server.clone().unwrap_or_else(|| registry(image).to_owned())),
            ..DockerCredentials::default()
        }
    }
}

/// Whether the name has a tag or a digest.
fn has_tag(name: &str) -> bool {
    name.rsplit_once('/').map_or(name, |(_, last)| last).contains([':', '@'])
}

/// The registry in the name of an image. A first part without a dot or a port is a folder of Docker's own registry.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "https://index.docker.io/v1/",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    repo_digests: Option<Vec<String>>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str, digest: Option<&str>) -> ImageOptions {
        let digest = digest.map(str::to_owned);
        ImageOptions { name: name.to_owned(), digest, pull: Pull::Never, credentials: None }
    }

    #[test]
    fn names_and_digests_are_checked_before_the_engine_sees_them() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for name in ["kv", "localhost/kv:1", "registry.example:5000/a/kv_x@sha256:00", "sha256:00"] {
            options(name, Some(&digest)).check().expect(name);
        }
        for name in ["", "kv?all=1", "kv 1", "../containers", "kv\n", "kv%2e"] {
            assert!(options(name, None).check().is_err(), "{name:?}");
        }
        for digest in ["", "sha256:", "0a", &digest.to_uppercase(), &digest[..70]] {
            let error = options("kv", Some(digest)).check().expect_err(digest);
            assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn the_registry_is_the_first_part_of_the_name() {
        assert_eq!(registry("registry.example/a/kv"), "registry.example");
        assert_eq!(registry("localhost:5000/kv:1"), "localhost:5000");
        assert_eq!(registry("me/kv"), registry("kv"));
        assert!(has_tag("localhost:5000/kv:1") && has_tag("kv@sha256:00"));
        assert!(!has_tag("localhost:5000/kv") && !has_tag("kv"));
    }
}
