//! Configurations that are saved in files: how they are declared, and how a misspelt field is
//! reported.

mod nearest;

use std::fmt::Display;

use serde::Deserialize;
use serde::de::{Error, MapAccess};

#[cfg(feature = "train")]
pub(crate) use nearest::explained;
pub(crate) use nearest::nearest;

/// Declares a configuration: a struct of public fields, those with `= default` optional.
///
/// The struct gets a function `new` that takes the fields without default, a `with_` method for
/// each field with default, and burn's trait `Config`. In a file an absent field has its default,
/// so that a file from before a field was added can be read; an unknown field is an error that
/// names the nearest known one.
///
/// burn's own derive of `Config` makes the same methods, but its reader requires every field and
/// ignores unknown ones.
macro_rules! config {
    ($(#[$meta:meta])* pub struct $name:ident $(<$generic:ident = $usual:ty>)? {
        $($fields:tt)*
    }) => {
        $crate::config::config! {
            @sort [$(#[$meta])* $name $(<$generic = $usual>)?] [] [] [] $($fields)*
        }
    };
    // A field with a default.
    (@sort $head:tt [$($all:tt)*] [$($needed:tt)*] [$($given:tt)*]
        $(#[$doc:meta])* pub $field:ident: $type:ty = $default:expr, $($rest:tt)*
    ) => {
        $crate::config::config! {
            @sort $head
            [$($all)* { $(#[$doc])* $field: $type }]
            [$($needed)*]
            [$($given)* { $(#[$doc])* $field: $type = $default }]
            $($rest)*
        }
    };
    // A field without.
    (@sort $head:tt [$($all:tt)*] [$($needed:tt)*] [$($given:tt)*]
        $(#[$doc:meta])* pub $field:ident: $type:ty, $($rest:tt)*
    ) => {
        $crate::config::config! {
            @sort $head
            [$($all)* { $(#[$doc])* $field: $type }]
            [$($needed)* { $field: $type }]
            [$($given)*]
            $($rest)*
        }
    };
    // All are sorted.
    (@sort [$(#[$meta:meta])* $name:ident $(<$generic:ident = $usual:ty>)?]
        [$({ $(#[$doc:meta])* $field:ident: $type:ty })*]
        [$({ $needed:ident: $needed_type:ty })*]
        [$({ $(#[$given_doc:meta])* $given:ident: $given_type:ty = $default:expr })*]
    ) => {
        $(#[$meta])*
        #[derive(Clone, ::serde::Serialize)]
        pub struct $name $(<$generic = $usual>)? {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $(<$generic>)? $name $(<$generic>)? {
            /// These, and the default of every other field.
            #[allow(clippy::too_many_arguments, clippy::new_without_default)]
            pub fn new($($needed: $needed_type),*) -> Self {
                Self { $($needed,)* $($given: $default,)* }
            }

            $(::pastey::paste! {
                #[doc = concat!("The same with another `", stringify!($given), "`.")]
                #[doc = ""]
                $(#[$given_doc])*
                pub fn [<with_ $given>](mut self, $given: $given_type) -> Self {
                    self.$given = $given;
                    self
                }
            })*
        }

        impl $(<$generic: ::burn::config::Config>)? ::burn::config::Config
            for $name $(<$generic>)? {}

        impl $(<$generic: ::burn::config::Config>)? ::std::fmt::Display for $name $(<$generic>)? {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&::burn::config::config_to_json(self))
            }
        }

        impl<'de $(, $generic: ::serde::Deserialize<'de>)?> ::serde::Deserialize<'de>
            for $name $(<$generic>)?
        {
            fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
            where
                D: ::serde::Deserializer<'de>,
            {
                const FIELDS: &[&str] = &[$(stringify!($field)),*];
                struct Fields $(<$generic>(::std::marker::PhantomData<$generic>))?;

                impl<'de $(, $generic: ::serde::Deserialize<'de>)?> ::serde::de::Visitor<'de>
                    for Fields $(<$generic>)?
                {
                    type Value = $name $(<$generic>)?;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str(concat!("the fields of ", stringify!($name)))
                    }

                    #[allow(clippy::manual_unwrap_or, clippy::manual_unwrap_or_default)]
                    fn visit_map<A: ::serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> ::std::result::Result<Self::Value, A::Error> {
                        $(let mut $field: Option<$type> = None;)*
                        while let Some(name) = map.next_key::<String>()? {
                            match name.as_str() {
                                $(stringify!($field) => {
                                    $crate::config::read(&mut $field, &name, &mut map)?;
                                })*
                                _ => return Err($crate::config::unknown(&name, FIELDS)),
                            }
                        }
                        $(let $needed = $needed
                            .ok_or_else(|| $crate::config::missing(stringify!($needed)))?;)*
                        $(let $given = match $given {
                            Some(value) => value,
                            None => $default,
                        };)*
                        Ok($name { $($field),* })
                    }
                }

                let fields = $crate::config::config! { @fields Fields $($generic)? };
                deserializer.deserialize_struct(stringify!($name), FIELDS, fields)
            }
        }
    };
    (@fields $fields:ident) => {
        $fields
    };
    (@fields $fields:ident $generic:ident) => {
        $fields(::std::marker::PhantomData)
    };
}

pub(crate) use config;

/// Reads the value of the field `name`.
pub(crate) fn read<'de, T, A>(
    field: &mut Option<T>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    if field.is_some() {
        return Err(A::Error::custom(format_args!("field `{name}` is there twice")));
    }
    *field = Some(map.next_value().map_err(|error| within(name, error))?);
    Ok(())
}

/// The fault of a nested value, with the place of that value.
fn within<E: Error>(name: &str, error: impl Display) -> E {
    let message = error.to_string();
    match message.strip_prefix("in `") {
        Some(rest) => E::custom(format_args!("in `{name}.{rest}")),
        None => E::custom(format_args!("in `{name}`: {message}")),
    }
}

/// The fault of a field that has no default and is absent.
pub(crate) fn missing<E: Error>(name: &'static str) -> E {
    E::missing_field(name)
}

/// The fault of a field whose name is not among `fields`.
pub(crate) fn unknown<E: Error>(name: &str, fields: &[&str]) -> E {
    let known = || fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    match nearest(name, fields) {
        Some(field) => E::custom(format_args!("unknown field `{name}`; did you mean `{field}`?")),
        None => E::custom(format_args!("unknown field `{name}`, expected {}", known())),
    }
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "what the macro declares is public")]
mod tests {
    config! {
        /// Of a test.
        #[derive(Debug, PartialEq)]
        pub struct Inner {
            /// A number that has no default.
            pub width: usize,
            /// Default: 4
            pub ratio: f64 = 4.0,
            /// Default: none
            pub scale: Option<f64> = Some(1.0),
        }
    }

    config! {
        /// Of a test.
        #[derive(Debug, PartialEq)]
        pub struct Outer<C = Inner> {
            /// Another configuration.
            pub part: C,
            /// Default: 7
            pub count: usize = 7,
        }
    }

    fn read(json: &str) -> Result<Outer, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_absent_field_has_its_default_and_null_is_no_absence() {
        let config = read(r#"{"part": {"width": 3}}"#).unwrap();
        assert_eq!(config, Outer::new(Inner::new(3)));
        assert_eq!((config.count, config.part.ratio, config.part.scale), (7, 4.0, Some(1.0)));
        let config = read(r#"{"part": {"scale": null, "width": 3}, "count": 1}"#).unwrap();
        assert_eq!(
            config,
            Outer::new(Inner::new(3).with_scale(None).with_ratio(4.0)).with_count(1)
        );
        assert_eq!(read(&config.to_string()).unwrap(), config);
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_place_and_the_nearest_right_one() {
        let message = read(r#"{"part": {"widht": 3}}"#).unwrap_err();
        assert!(message.starts_with("in `part`: unknown field `widht`; did you mean `width`?"));
        let message = read(r#"{"cuont": 3}"#).unwrap_err();
        assert!(message.starts_with("unknown field `cuont`; did you mean `count`?"), "{message}");
        let message = read(r#"{"color": 3}"#).unwrap_err();
        assert!(message.contains("unknown field `color`, expected `part`, `count`"), "{message}");
    }

    #[test]
    fn faults_within_a_part_say_where() {
        let nested = r#"{"part": {"part": {"width": "x"}}}"#;
        let message = serde_json::from_str::<Outer<Outer>>(nested).unwrap_err().to_string();
        assert!(message.starts_with("in `part.part.width`: invalid type: string"), "{message}");
        assert_eq!(message.matches("at line").count(), 1, "{message}");
        assert!(read(r#"{"part": {}}"#).unwrap_err().contains("in `part`: missing field `width`"));
        assert!(
            read(r#"{"count": 1, "count": 2}"#).unwrap_err().contains("`count` is there twice")
        );
    }
}
