//! The resource `demo_thing`: a greeting in a file.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tonic::async_trait;

use super::diagnostics::{Diagnostic, Diagnostics, Path};
use super::framework::{Change, Failed, Planned, Resource, Stored, text};
use super::provider::Prefix;
use super::schema::{Attribute, Block, Schema};
use super::store::Store;
use super::value::{Number, Object, RawObject, Type, Value};

/// A greeting, its revision, and the other values of the configuration.
///
/// Plan and state have private bytes, by which the provider notices when a host loses or confuses them.
pub(crate) struct Thing {
    prefix: Prefix,
    store: Store,
}

impl Thing {
    pub(crate) fn new(prefix: Prefix, store: Store) -> Self {
        Self { prefix, store }
    }

    /// Creates the planned thing.
    async fn create(&self, planned: Object) -> Result<Stored, Diagnostics> {
        let name = text(&planned, "name")?.to_owned();
        if name == "explode" {
            return Err(Diagnostic::error("Cannot create")
                .detail("a thing of this name does not hold together")
                .at("name")
                .into());
        }
        let mut thing = planned;
        thing.insert("id".to_owned(), id_of(&name).into());
        thing.insert("greeting".to_owned(), format!("{}, {name}!", self.prefix.get()).into());
        thing.insert("revision".to_owned(), Value::from(1));
        self.write(&name, thing).await
    }

    /// Changes the thing as planned.
    async fn update(&self, prior: &Object, planned: Object) -> Result<Stored, Diagnostics> {
        let name = text(&planned, "name")?.to_owned();
        let mut thing = planned;
        if thing.get("revision") == Some(&Value::Unknown) {
            let revision = prior.get("revision").and_then(Value::as_number).cloned();
            let next = revision.unwrap_or_else(|| Number::from(0_u64)) + Number::from(1_u64);
            thing.insert("revision".to_owned(), Value::Number(next));
        }
        self.write(&name, thing).await
    }

    async fn write(&self, name: &str, thing: Object) -> Result<Stored, Diagnostics> {
        self.store.write(text(&thing, "id")?, &thing).await?;
        Ok(Stored { state: Some(thing), private: applied(name) })
    }

    async fn destroy(&self, prior: &Object) -> Result<Stored, Diagnostics> {
        self.store.remove(text(prior, "id")?).await?;
        Ok(Stored { state: None, private: Vec::new() })
    }

    /// The thing in the store.
    async fn stored(&self, id: &str) -> Result<Option<Object>, Diagnostics> {
        let schema = self.schema();
        let mut thing = self.store.read(id, &schema.ty()).await?;
        if let Some(thing) = &mut thing {
            schema.complete(thing);
        }
        Ok(thing)
    }
}

#[async_trait]
impl Resource for Thing {
    fn schema(&self) -> Schema {
        let rule = Block::new([
            Attribute::required("port", Type::Number),
            Attribute::optional("proto", Type::String),
        ]);
        Schema::new()
            .version(1)
            .attribute(Attribute::computed("id", Type::String))
            .attribute(Attribute::required("name", Type::String))
            .attribute(Attribute::optional("size", Type::Number))
            .attribute(Attribute::optional("tags", Type::map(Type::String)))
            .attribute(Attribute::optional("notes", Type::list(Type::String)))
            .attribute(Attribute::optional("secret", Type::String).sensitive())
            .attribute(Attribute::computed("greeting", Type::String))
            .attribute(Attribute::computed("revision", Type::Number))
            .attribute(Attribute::optional("extra", Type::Dynamic))
            .list("rule", rule)
    }

    fn validate(&self, config: &Object) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        match config.get("name").and_then(Value::as_str) {
            Some("") => diagnostics
                .push(Diagnostic::error("Invalid name").detail("a thing needs a name of its own").at("name")),
            Some("warn") => diagnostics
                .push(Diagnostic::warning("Suspicious name").detail("it sounds like a warning").at("name")),
            _ => {}
        }
        let highest = Number::from(u64::from(u16::MAX));
        for (index, rule) in config.get("rule").map(Value::elements).unwrap_or_default().iter().enumerate() {
            let port = rule.as_object().and_then(|rule| rule.get("port")).and_then(Value::as_number);
            if let Some(port) = port.filter(|port| **port > highest) {
                let place = Path::from("rule").index(index).attribute("port");
                let detail = format!("{port} is above {highest}");
                diagnostics.push(Diagnostic::error("Invalid port").detail(detail).at(place));
            }
        }
        diagnostics
    }

    /// In version 0, the name was called title.
    fn upgrade(&self, version: i64, state: &mut RawObject) {
        if version == 0
            && let Some(title) = state.remove("title")
        {
            state.insert("name".to_owned(), title);
        }
    }

    async fn plan(&self, change: Change) -> Result<Planned, Diagnostics> {
        let Change { prior, next, private } = change;
        if let Some(prior) = &prior {
            check_stored_private(prior, &private)?;
        }
        let Some(mut next) = next else {
            return Ok(Planned { state: None, requires_replace: Vec::new(), private: Vec::new() });
        };
        let mut requires_replace = Vec::new();
        let undecided: &[&str] = match &prior {
            None => &["id", "greeting", "revision"],
            Some(prior) if prior.get("name") != next.get("name") => {
                requires_replace.push(Path::from("name"));
                &["id", "greeting", "revision"]
            }
            Some(prior) if *prior != next => &["revision"],
            Some(_) => &[],
        };
        for attribute in undecided {
            next.insert((*attribute).to_owned(), Value::Unknown);
        }
        let private = planned(next.get("name").and_then(Value::as_str).unwrap_or_default());
        Ok(Planned { state: Some(next), requires_replace, private })
    }

    async fn apply(&self, change: Change) -> Result<Stored, Failed> {
        let Change { prior, next, private } = change;
        let applied = match (&prior, next) {
            (Some(prior), None) => self.destroy(prior).await,
            (_, Some(next)) if private != planned(name_of(&next)) => {
                Err(Diagnostic::error("Planned private lost").into())
            }
            (None, Some(next)) => self.create(next).await,
            (Some(prior), Some(next)) => self.update(prior, next).await,
            (None, None) => Ok(Stored { state: None, private: Vec::new() }),
        };
        applied.map_err(|diagnostics| {
            let private = prior.as_ref().map(|prior| self::applied(name_of(prior))).unwrap_or_default();
            Failed { diagnostics, left: Stored { state: prior, private } }
        })
    }

    async fn read(&self, stored: Stored) -> Result<Stored, Diagnostics> {
        let Some(state) = &stored.state else { return Ok(stored) };
        Ok(Stored { state: self.stored(text(state, "id")?).await?, private: stored.private })
    }

    async fn import(&self, id: &str) -> Result<Stored, Diagnostics> {
        let missing = || Diagnostic::error("No such thing").detail(format!("nothing has the id {id:?}"));
        let state = self.stored(id).await?.ok_or_else(missing)?;
        Ok(Stored { state: Some(state), private: IMPORTED.to_vec() })
    }
}

/// Checks the private bytes of the prior state. State of older versions has no private bytes.
fn check_stored_private(prior: &Object, private: &[u8]) -> Result<(), Diagnostic> {
    let old = prior.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with("old-"));
    if old || private.starts_with(APPLIED) || private == IMPORTED {
        Ok(())
    } else {
        Err(Diagnostic::error("Private state lost"))
    }
}

fn name_of(thing: &Object) -> &str {
    thing.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// An id that depends only on the name.
fn id_of(name: &str) -> String {
    let mut id = String::from("thing-");
    for byte in &Sha256::digest(name)[..6] {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn planned(name: &str) -> Vec<u8> {
    [b"planned:", name.as_bytes()].concat()
}

fn applied(name: &str) -> Vec<u8> {
    [APPLIED, name.as_bytes()].concat()
}

const APPLIED: &[u8] = b"applied:";
const IMPORTED: &[u8] = b"imported";
