//! The description of a setting.

use crate::{side::Side, value::Shape};

/// What there is to know about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// Its name, as in a file and as the path of fields in the struct: `http2.max_frame`.
    pub name: String,
    /// Whom it is for.
    pub side: Side,
    /// The environment variables that set it, the one that counts first. A plain number is a count of milliseconds
    /// where the variable's name ends in `_MS`; a name that ends in `_FILE` holds the path of a file with the value.
    pub env: &'static [&'static str],
    /// Its type in Rust.
    pub kind: &'static str,
    /// What may be written.
    pub allowed: &'static str,
    /// What a plain number counts, such as `seconds`; empty where it counts nothing in particular.
    pub unit: &'static str,
    /// The default, as one would write it; `none` where there is none.
    pub default: &'static str,
    /// What it does, and what its extremes do.
    pub effect: String,
    /// The fields of pyvider's configuration for which it stands.
    pub pyvider: &'static [&'static str],
    /// Whether its value is never shown. The name of a file that holds the value is no secret.
    pub secret: bool,
    /// How a file may write it, apart from as text.
    pub(crate) shape: Shape,
}

/// The rows of a struct's table, and the tables of the groups within it.
pub(crate) struct Table {
    pub(crate) rows: &'static [Row],
    /// Tables whose settings stand in this table's group, and make one value of a struct's field together.
    pub(crate) joined: &'static [&'static Self],
    pub(crate) groups: &'static [(&'static str, &'static Self)],
}

/// One row of a table: a [`Setting`] that does not know yet in which group it stands.
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
