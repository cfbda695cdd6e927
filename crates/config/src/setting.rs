//! The description of a setting, and the table syntax from which descriptions, structs and defaults are made.

use std::{fmt, sync::LazyLock};

use crate::{
    checks::{Check, Contradiction},
    host::HostConfig,
    loader::Reader,
    plugin::PluginConfig,
    value::{FILE_SCHEME, NONE, Shape, Text},
};

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

/// The side of the handshake that a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// The program that is started, [`PluginConfig`].
    Plugin,
    /// The program that starts plugins, [`HostConfig`].
    Host,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => "plugin",
            Self::Host => "host",
        })
    }
}

/// Every setting, those of the plugin first, each side in the order of its struct. One that both sides have is
/// listed for each.
#[must_use]
pub fn settings() -> &'static [Setting] {
    static ALL: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let sides = [(Side::Plugin, PluginConfig::TABLE), (Side::Host, HostConfig::TABLE)];
        let mut all = Vec::new();
        for (side, table) in sides {
            table.describe("", side, &mut all);
        }
        all
    });
    &ALL
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
    fn describe(&self, prefix: &str, side: Side, all: &mut Vec<Setting>) {
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

/// The value that a default in a table stands for.
pub(crate) fn default_value<T: Text>(text: &str) -> T {
    T::from_text(text).expect("a test reads every default of the tables")
}

/// A struct of settings.
pub(crate) trait Group: Sized + Check {
    const TABLE: &'static Table;

    /// Takes the settings under the prefix from what was loaded. Faults gather in the reader.
    fn read(reader: &mut Reader<'_>, prefix: &str) -> Self;

    /// Writes down each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<Written>);
}

/// A group of settings that says itself whether it is there.
pub(crate) trait OptionalGroup: Sized {
    const TABLE: &'static Table;

    /// Takes the settings under the prefix from what was loaded, if they are there.
    fn read(reader: &mut Reader<'_>, prefix: &str) -> Option<Self>;

    /// Writes down each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<Written>);
}

/// A value that several settings make together. Combinations of settings that contradict each other have no such value.
pub(crate) trait Joint: Sized {
    /// The settings.
    type Settings: Group + Default;

    /// The value that the settings stand for.
    fn join(settings: Self::Settings) -> Result<Self, Contradiction>;

    /// Settings that stand for the value.
    fn split(&self) -> Self::Settings;

    /// The value that the defaults of the settings stand for.
    fn default_value() -> Self {
        Self::join(Self::Settings::default()).ok().expect("a test reads every default of the tables")
    }
}

/// A setting and its value as text.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether the text is a secret.
    pub(crate) secret: bool,
}

impl Written {
    pub(crate) fn new<T: Text>(prefix: &str, name: &str, value: &T) -> Self {
        let text = value.to_text();
        // What holds a secret may also name the file that holds it, which is none; neither is the absence of one.
        let secret = T::SECRET && text != NONE && !text.starts_with(FILE_SCHEME);
        Self { name: format!("{prefix}{name}"), text, secret }
    }
}

/// Makes a struct of settings from a table: the fields with their documentation, `Default`, and the rows that
/// [`settings`] shows.
///
/// ```text
/// field: Type = "default", env ["VARIABLE", "ITS_FALLBACK"], pyvider ["name_of_the_field"];
/// ```
///
/// After the struct come its fields that several settings make together, `joined`, and those that are groups of settings:
/// `groups` that are always there, `optional` ones that
/// say themselves whether they are there, and `switched` ones that are off unless their switch, or anything in them,
/// is set.
macro_rules! table {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $effect:literal])+
                $field:ident: $type:ty = $default:literal,
                env [$env:literal $(, $fallback:literal)*], pyvider [$($pyvider:literal),*];
            )*
        }
        $(joined {
            $(
                $(#[doc = $joint_effect:literal])+
                $joint:ident: $joint_type:ident;
            )*
        })?
        $(groups {
            $(
                $(#[doc = $group_effect:literal])+
                $group:ident: $group_type:ident;
            )*
        })?
        $(optional {
            $(
                $(#[doc = $optional_effect:literal])+
                $optional:ident: $optional_type:ident;
            )*
        })?
        $(switched {
            $(
                $(#[doc = $switched_effect:literal])+
                $switched:ident: $switched_type:ident,
                env [$switch_env:literal], pyvider [$($switch_pyvider:literal),*];
            )*
        })?
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        $visibility struct $name {
            $(
                $(#[doc = $effect])+
                #[doc = ""]
                #[doc = concat!("Default: `", $default, "`.")]
                #[doc = concat!("Environment: `", $env, "`" $(, ", else `", $fallback, "`")*, ".")]
                $(#[doc = concat!("In pyvider: `", $pyvider, "`.")])*
                $visibility $field: $type,
            )*
            $($(
                $(#[doc = $joint_effect])+
                $visibility $joint: $joint_type,
            )*)?
            $($(
                $(#[doc = $group_effect])+
                $visibility $group: $group_type,
            )*)?
            $($(
                $(#[doc = $optional_effect])+
                ///
                /// Default: none.
                $visibility $optional: Option<$optional_type>,
            )*)?
            $($(
                $(#[doc = $switched_effect])+
                ///
                /// Default: off.
                #[doc = concat!("Environment: `", $switch_env, "` and the variables of its fields.")]
                $(#[doc = concat!("In pyvider: `", $switch_pyvider, "`.")])*
                $visibility $switched: Option<$switched_type>,
            )*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $crate::setting::default_value($default),)*
                    $($($joint: $crate::setting::Joint::default_value(),)*)?
                    $($($group: Default::default(),)*)?
                    $($($optional: None,)*)?
                    $($($switched: None,)*)?
                }
            }
        }

        impl $crate::setting::Group for $name {
            const TABLE: &'static $crate::setting::Table = &$crate::setting::Table {
                rows: &[
                    $($crate::setting::Row {
                        name: stringify!($field),
                        env: &[$env $(, $fallback)*],
                        kind: stringify!($type),
                        allowed: <$type as $crate::value::Text>::ALLOWED,
                        unit: <$type as $crate::value::Text>::UNIT,
                        default: $default,
                        effect: concat!($($effect, "\n"),+),
                        pyvider: &[$($pyvider),*],
                        secret: <$type as $crate::value::Text>::SECRET,
                        shape: <$type as $crate::value::Text>::SHAPE,
                    },)*
                    $($($crate::setting::Row {
                        name: concat!(stringify!($switched), ".enabled"),
                        env: &[$switch_env],
                        kind: "bool",
                        allowed: <bool as $crate::value::Text>::ALLOWED,
                        unit: "",
                        default: "false",
                        effect: concat!($($switched_effect, "\n"),+),
                        pyvider: &[$($switch_pyvider),*],
                        secret: false,
                        shape: $crate::value::Shape::Scalar,
                    },)*)?
                ],
                joined: &[
                    $($(<<$joint_type as $crate::setting::Joint>::Settings as $crate::setting::Group>::TABLE,)*)?
                ],
                groups: &[
                    $($((stringify!($group), <$group_type as $crate::setting::Group>::TABLE),)*)?
                    $($((stringify!($optional), <$optional_type as $crate::setting::OptionalGroup>::TABLE),)*)?
                    $($((stringify!($switched), <$switched_type as $crate::setting::Group>::TABLE),)*)?
                ],
            };

            fn read(reader: &mut $crate::loader::Reader<'_>, prefix: &str) -> Self {
                Self {
                    $($field: reader.value(&format!("{prefix}{}", stringify!($field)), $default),)*
                    $($($joint: reader.joint(prefix),)*)?
                    $($($group: reader.group(&format!("{prefix}{}.", stringify!($group))),)*)?
                    $($($optional: reader.optional(&format!("{prefix}{}.", stringify!($optional))),)*)?
                    $($($switched: reader.switched(&format!("{prefix}{}.", stringify!($switched))),)*)?
                }
            }

            fn write(&self, prefix: &str, written: &mut Vec<$crate::setting::Written>) {
                $(written.push($crate::setting::Written::new(prefix, stringify!($field), &self.$field));)*
                $($($crate::setting::Group::write(
                    &$crate::setting::Joint::split(&self.$joint),
                    prefix,
                    written,
                );)*)?
                $($($crate::setting::Group::write(
                    &self.$group,
                    &format!("{prefix}{}.", stringify!($group)),
                    written,
                );)*)?
                $($(if let Some(group) = &self.$optional {
                    let prefix = format!("{prefix}{}.", stringify!($optional));
                    $crate::setting::OptionalGroup::write(group, &prefix, written);
                })*)?
                $($(if let Some(group) = &self.$switched {
                    let prefix = format!("{prefix}{}.", stringify!($switched));
                    written.push($crate::setting::Written::new(&prefix, $crate::setting::SWITCH, &true));
                    $crate::setting::Group::write(group, &prefix, written);
                })*)?
            }
        }
    };
}

pub(crate) use table;

/// The name, within its group, of the setting that switches the group on or off.
pub(crate) const SWITCH: &str = "enabled";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{HostTls, PluginTls};

    #[test]
    fn every_default_can_be_read() {
        // Each `Default` reads the defaults of its table; a bad one panics here.
        let (plugin, host) = (PluginConfig::default(), HostConfig::default());
        let retry = crate::RetryConfig::default();
        let (limit, keepalive) = (crate::RateLimitConfig::default(), crate::KeepaliveConfig::default());
        assert_eq!((plugin.tls, host.tls), (PluginTls::AUTO, HostTls::AUTO), "secure by default");
        assert_eq!((retry.max_retries, limit.burst_capacity, keepalive.permitted), (3, 200, false));
    }

    #[test]
    fn every_setting_is_described() {
        for setting in settings() {
            let name = &setting.name;
            assert!(
                setting.effect.ends_with('.') && !setting.effect.contains("  "),
                "{name}: {}",
                setting.effect
            );
            assert!(!setting.allowed.is_empty() && !setting.env.is_empty(), "{name}");
            let counts = setting.kind.contains("Duration") || setting.kind.contains("ByteSize");
            assert_eq!(counts, !setting.unit.is_empty(), "{name}");
        }
    }
}
