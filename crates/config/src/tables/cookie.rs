//! The settings of the magic cookie.

use rpcplugin_core::MagicCookie;

use crate::{
    error::FaultKind,
    schema::{OptionalGroup, ReadSettings, RenderedSetting, Row, Table},
    value::Shape,
};

/// `MagicCookie` validates itself. This implementation gives it a table, as every other group of settings has.
impl OptionalGroup for MagicCookie {
    const TABLE: &'static Table = &Table {
        rows: &[
            Row {
                name: "key",
                env: &["PLUGIN_MAGIC_COOKIE_KEY"],
                kind: "String",
                allowed: "the name of an environment variable",
                unit: "",
                default: "none",
                effect: "The environment variable that carries the cookie. It requires `magic_cookie.value`.",
                pyvider: &["plugin_magic_cookie_key"],
                secret: false,
                shape: Shape::Scalar,
            },
            Row {
                name: "value",
                env: &["PLUGIN_MAGIC_COOKIE_VALUE"],
                kind: "String",
                allowed: "text that is not empty",
                unit: "",
                default: "none",
                effect: "The value of that variable. It requires `magic_cookie.key`.",
                pyvider: &["plugin_magic_cookie_value"],
                secret: true,
                shape: Shape::Scalar,
            },
        ],
        joined: &[],
        groups: &[],
    };

    fn read<R: ReadSettings>(reader: &mut R, prefix: &str) -> Option<Self> {
        let (key_name, value_name) = (format!("{prefix}key"), format!("{prefix}value"));
        match (reader.text(&key_name), reader.text(&value_name)) {
            (None, None) => None,
            (Some(key), Some(value)) => {
                Self::new(key, value).map_err(|error| reader.fault(&key_name, FaultKind::Cookie(error))).ok()
            }
            (key, _) => {
                let (given, missing) =
                    if key.is_some() { (key_name, value_name) } else { (value_name, key_name) };
                reader.fault(&given, FaultKind::CookieIncomplete { missing });
                None
            }
        }
    }

    fn write(&self, prefix: &str, written: &mut Vec<RenderedSetting>) {
        // The key is not secret, but it is useless without the value: an export has both or neither.
        for (name, text) in [("key", self.key()), ("value", self.value())] {
            written.push(RenderedSetting {
                name: format!("{prefix}{name}"),
                text: text.to_owned(),
                secret: true,
            });
        }
    }
}
