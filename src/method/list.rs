//! Lists of methods, for commands that read a method's name in a file.

use super::{Method, PresetEntry};
use crate::config::nearest;
use crate::error::{Error, Result};

/// Generic code that a [`Methods`] list calls with one of its methods.
pub trait MethodVisitor {
    /// The result.
    type Output;

    /// Works with the method `M`.
    ///
    /// # Errors
    ///
    /// Any error of the visitor's own.
    fn visit<M: Method>(self) -> Result<Self::Output>;
}

/// A list of methods, made by [`methods!`](crate::methods).
pub trait Methods {
    /// The names of the methods, in the list's order; one for each variant.
    const NAMES: &'static [&'static str];
    /// Their variants, in the same order.
    const VARIANTS: &'static [&'static str];

    /// Calls `visitor` with the method of this name and variant.
    ///
    /// # Errors
    ///
    /// When there is no such method in the list, and when the visitor fails.
    fn visit<V: MethodVisitor>(name: &str, variant: &str, visitor: V) -> Result<V::Output>;

    /// The names of the methods, each once.
    fn names() -> Vec<&'static str> {
        let mut names = Self::NAMES.to_vec();
        names.dedup();
        names
    }

    /// The presets of all methods, in the list's order.
    fn presets() -> Vec<PresetEntry>;

    /// The preset of this name, which says its method and variant.
    ///
    /// # Errors
    ///
    /// When no method has such a preset; names those whose names are nearest.
    fn preset(name: &str) -> Result<PresetEntry> {
        let mut all = Self::presets();
        match all.iter().position(|preset| preset.name == name) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(unknown_preset(name, &all)),
        }
    }
}

/// Right names that are told to whoever misspells one.
const NEAREST: usize = 3;

/// The error of a name that no preset has.
fn unknown_preset(name: &str, all: &[PresetEntry]) -> Error {
    let mut left: Vec<&str> = all.iter().map(|preset| preset.name).collect();
    let mut near = Vec::new();
    while let Some(found) = nearest(name, &left).filter(|_| near.len() < NEAREST) {
        left.retain(|&other| other != found);
        near.push(format!("`{found}`"));
    }
    match near.split_last() {
        None => {
            let all: Vec<_> = all.iter().map(|preset| preset.name).collect();
            Error::config(format!("unknown preset `{name}`, expected one of {}", all.join(", ")))
        }
        Some((last, [])) => Error::config(format!("unknown preset `{name}`; did you mean {last}?")),
        Some((last, first)) => Error::config(format!(
            "unknown preset `{name}`; did you mean {} or {last}?",
            first.join(", ")
        )),
    }
}

/// Makes a type that is a [`Methods`] list: `methods!(pub MyMethods: Mine, MaeConfig)`.
///
/// A program with a list of its own can offer the commands of this crate for its own methods.
#[macro_export]
macro_rules! methods {
    ($(#[$meta:meta])* $vis:vis $list:ident: $($method:ty),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $vis struct $list;

        impl $crate::method::Methods for $list {
            const NAMES: &'static [&'static str] =
                &[$(<$method as $crate::method::Method>::NAME),+];
            const VARIANTS: &'static [&'static str] =
                &[$(<$method as $crate::method::Method>::VARIANT),+];

            fn presets() -> Vec<$crate::method::PresetEntry> {
                [$($crate::method::PresetEntry::all::<$method>()),+].concat()
            }

            fn visit<V: $crate::method::MethodVisitor>(
                name: &str,
                variant: &str,
                visitor: V,
            ) -> $crate::error::Result<V::Output> {
                $(
                    if name == <$method as $crate::method::Method>::NAME
                        && variant == <$method as $crate::method::Method>::VARIANT
                    {
                        return visitor.visit::<$method>();
                    }
                )+
                Err($crate::method::unknown_method::<Self>(name, variant))
            }
        }
    };
}

/// The error of a name that is not in a list.
#[doc(hidden)]
pub fn unknown_method<L: Methods>(name: &str, variant: &str) -> Error {
    let hint = nearest(name, L::NAMES)
        .map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"));
    let on = if variant.is_empty() { String::new() } else { format!(" on `{variant}`") };
    let known = L::names().join(", ");
    Error::config(format!("unknown method `{name}`{on}, expected one of {known}{hint}"))
}
