//! The ephemeral resource `demo_token`. Each open and close leaves a mark in the store.

use tonic::async_trait;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::framework::{EphemeralResource, Opened, text};
use super::schema::{Attribute, Schema};
use super::store::Store;
use super::value::{Object, Type};

/// A token that exists while Terraform runs.
pub(crate) struct Token {
    store: Store,
}

impl Token {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl EphemeralResource for Token {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("label", Type::String))
            .attribute(Attribute::computed("value", Type::String))
    }

    async fn open(&self, config: Object) -> Result<Opened, Diagnostics> {
        let label = text(&config, "label")?.to_owned();
        self.store.mark(&format!("opened-{label}")).await?;
        let mut result = config;
        result.insert("value".to_owned(), format!("token-{label}").into());
        Ok(Opened { result, private: format!("{PRIVATE}{label}").into_bytes() })
    }

    async fn close(&self, private: &[u8]) -> Diagnostics {
        let label = str::from_utf8(private).ok().and_then(|private| private.strip_prefix(PRIVATE));
        let Some(label) = label else { return Diagnostic::error("Private bytes lost").into() };
        self.store.mark(&format!("closed-{label}")).await.err().unwrap_or_default()
    }
}

const PRIVATE: &str = "eph:";
