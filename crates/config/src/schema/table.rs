//! The macro `table!`, which defines a struct of settings.

/// Defines a struct of settings: documented fields, `Default`, and the rows that `settings` describes.
///
/// ```text
/// field: Type = "default", env ["VARIABLE", "ITS_FALLBACK"], pyvider ["name_of_the_field"];
/// ```
///
/// Further fields follow the struct: `joined` fields, which several settings define together; `groups`, which are always present;
/// `optional` groups, which are present or absent depending on their settings; and `switchable` groups, which are off unless
/// their switch, or any of their settings, is set.
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
        $(switchable {
            $(
                $(#[doc = $switchable_effect:literal])+
                $switchable:ident: $switchable_type:ident,
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
                $(#[doc = $switchable_effect])+
                ///
                /// Default: off.
                #[doc = concat!("Environment: `", $switch_env, "` and the variables of its fields.")]
                $(#[doc = concat!("In pyvider: `", $switch_pyvider, "`.")])*
                $visibility $switchable: Option<$switchable_type>,
            )*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $crate::schema::default_value($default),)*
                    $($($joint: $crate::schema::Joint::default_value(),)*)?
                    $($($group: Default::default(),)*)?
                    $($($optional: None,)*)?
                    $($($switchable: None,)*)?
                }
            }
        }

        impl $crate::schema::Group for $name {
            const TABLE: &'static $crate::schema::Table = &$crate::schema::Table {
                rows: &[
                    $($crate::schema::Row {
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
                    $($($crate::schema::Row {
                        name: concat!(stringify!($switchable), ".enabled"),
                        env: &[$switch_env],
                        kind: "bool",
                        allowed: <bool as $crate::value::Text>::ALLOWED,
                        unit: "",
                        default: "false",
                        effect: concat!($($switchable_effect, "\n"),+),
                        pyvider: &[$($switch_pyvider),*],
                        secret: false,
                        shape: $crate::value::Shape::Scalar,
                    },)*)?
                ],
                joined: &[
                    $($(<<$joint_type as $crate::schema::Joint>::Settings as $crate::schema::Group>::TABLE,)*)?
                ],
                groups: &[
                    $($((stringify!($group), <$group_type as $crate::schema::Group>::TABLE),)*)?
                    $($((stringify!($optional), <$optional_type as $crate::schema::OptionalGroup>::TABLE),)*)?
                    $($((stringify!($switchable), <$switchable_type as $crate::schema::Group>::TABLE),)*)?
                ],
            };

            fn read<R: $crate::schema::ReadSettings>(reader: &mut R, prefix: &str) -> Self {
                Self {
                    $($field: reader.value(&format!("{prefix}{}", stringify!($field)), $default),)*
                    $($($joint: reader.joint(prefix),)*)?
                    $($($group: $crate::schema::Group::read(reader, &format!("{prefix}{}.", stringify!($group))),)*)?
                    $($($optional: $crate::schema::OptionalGroup::read(reader, &format!("{prefix}{}.", stringify!($optional))),)*)?
                    $($($switchable: reader.switchable(&format!("{prefix}{}.", stringify!($switchable))),)*)?
                }
            }

            fn write(&self, prefix: &str, written: &mut Vec<$crate::schema::RenderedSetting>) {
                $(written.push($crate::schema::RenderedSetting::new(prefix, stringify!($field), &self.$field));)*
                $($($crate::schema::Group::write(
                    &$crate::schema::Joint::split(&self.$joint),
                    prefix,
                    written,
                );)*)?
                $($($crate::schema::Group::write(
                    &self.$group,
                    &format!("{prefix}{}.", stringify!($group)),
                    written,
                );)*)?
                $($(if let Some(group) = &self.$optional {
                    let prefix = format!("{prefix}{}.", stringify!($optional));
                    $crate::schema::OptionalGroup::write(group, &prefix, written);
                })*)?
                $($(if let Some(group) = &self.$switchable {
                    let prefix = format!("{prefix}{}.", stringify!($switchable));
                    written.push($crate::schema::RenderedSetting::new(&prefix, $crate::schema::SWITCH, &true));
                    $crate::schema::Group::write(group, &prefix, written);
                })*)?
            }
        }
    };
}

pub(crate) use table;
