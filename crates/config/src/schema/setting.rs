//! The description of a setting.

use crate::{side::Side, value::Shape};

/// The description of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The name in files, such as `http2.max_frame`.
    pub name: String,
    /// The side that has the setting.
    pub side: Side,
    /// The environment variables that set it. The first that is set counts. In a variable whose name ends in `_MS` a plain number
    /// counts milliseconds. A variable whose name ends in `_FILE` holds the path of a file with the value.
    pub env: &'static [&'static str],
    /// The Rust type.
    pub kind: &'static str,
    /// The values that are allowed.
    pub allowed: &'static str,
    /// The unit of a plain number, such as `seconds`. Empty if plain numbers have no unit.
    pub unit: &'static str,
    /// The default as text, or `none`.
    pub default: &'static str,
    /// The effect of the setting and of its extreme values.
    pub effect: String,
    /// The equivalent fields of pyvider's configuration.
    pub pyvider: &'static [&'static str],
    /// Whether the value is secret and never shown. The name of a file that holds the value is not secret.
    pub secret: bool,
    /// The form of the value in a file, beside text.
    pub(crate) shape: Shape,
}

/// The rows of a struct's table, and the tables of the groups within it.
pub(crate) struct Table {
    pub(crate) rows: &'static [Row],
    /// Tables of settings that define one value together. They stand in this table's group.
    pub(crate) joined: &'static [&'static Self],
    pub(crate) groups: &'static [(&'static str, &'static Self)],
}

/// One row of a table: a [`Setting`] without the name of its group.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) env: &'static [&'static str],
    pub(crate) kind: &'static str,
    pub(crate) allowed: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) default: &'static str,
    pub(crate) effect: &'static str,
    pub(crate) pyvider: &'static [&'static str],
    pub(crate) secret: bool,
    pub(crate) shape: Shape,
}

impl Table {
    pub(crate) fn describe(&self, prefix: &str, side: Side, all: &mut Vec<Setting>) {
        for row in self.rows {
            all.push(Setting {
                name: format!("{prefix}{}", row.name),
                side,
                env: row.env,
                kind: row.kind,
                allowed: row.allowed,
                unit: row.unit,
                default: row.default,
                effect: row.effect.lines().map(str::trim).collect::<Vec<_>>().join(" "),
                pyvider: row.pyvider,
                secret: row.secret,
                shape: row.shape,
            });
        }
        for table in self.joined {
            table.describe(prefix, side, all);
        }
        for (group, table) in self.groups {
            table.describe(&format!("{prefix}{group}."), side, all);
        }
    }
}
