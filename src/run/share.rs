//! What of a run may be shown to strangers.
//!
//! Each field says it beside its definition, and one that says nothing does not compile:
//! `keep` what halo itself made or measured, `clean` what a user or a tool wrote, `leave_out` what is
//! nobody's business.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::redact::{Kind, Redactor};

/// Programs that serve models or show a desktop: who runs one tells nothing.
const PROGRAMS: [&str; 24] = [
    "Xorg",
    "Xwayland",
    "cinnamon",
    "clpeak",
    "gnome-shell",
    "halo-exporter",
    "halo-record",
    "kwin_wayland",
    "kwin_x11",
    "lemonade",
    "llama-batched-b",
    "llama-bench",
    "llama-cli",
    "llama-server",
    "llama-swap",
    "ollama",
    "plasmashell",
    "python",
    "python3",
    "rocminfo",
    "stable-diffusio",
    "sway",
    "vllm",
    "whisper-server",
];

/// A value of which a stranger may see a part.
pub trait Share: Sized {
    /// The part.
    #[must_use]
    fn share(self, redactor: &mut Redactor) -> Self;

    /// The part of what is named so: what is behind `api_key` is a key whatever its form.
    #[must_use]
    fn share_named(self, _name: &str, redactor: &mut Redactor) -> Self {
        self.share(redactor)
    }
}

impl Share for String {
    fn share(self, redactor: &mut Redactor) -> Self {
        redactor.clean(&self)
    }

    fn share_named(self, name: &str, redactor: &mut Redactor) -> Self {
        redactor.clean_named(name, &self)
    }
}

impl<T: Share> Share for Option<T> {
    fn share(self, redactor: &mut Redactor) -> Self {
        self.map(|value| value.share(redactor))
    }

    fn share_named(self, name: &str, redactor: &mut Redactor) -> Self {
        self.map(|value| value.share_named(name, redactor))
    }
}

impl<T: Share> Share for Vec<T> {
    fn share(self, redactor: &mut Redactor) -> Self {
        self.into_iter().map(|value| value.share(redactor)).collect()
    }

    fn share_named(self, name: &str, redactor: &mut Redactor) -> Self {
        self.into_iter().map(|value| value.share_named(name, redactor)).collect()
    }
}

impl<T: Share> Share for BTreeMap<String, T> {
    fn share(self, redactor: &mut Redactor) -> Self {
        let mut shared = Self::new();
        for (key, value) in self {
            let value = value.share_named(&key, redactor);
            let key = unused(key.share(redactor), |key| shared.contains_key(key));
            shared.insert(key, value);
        }
        shared
    }
}

/// The name, or with a number where another has the same when both are cleaned: none is lost.
pub fn unused(name: String, is_used: impl Fn(&str) -> bool) -> String {
    if !is_used(&name) {
        return name;
    }
    let mut numbered = (2_u32..).map(|number| format!("{name} ({number})"));
    numbered.find(|name| !is_used(name)).unwrap_or(name)
}

impl Share for Value {
    fn share(self, redactor: &mut Redactor) -> Self {
        self.share_named("", redactor)
    }

    fn share_named(self, name: &str, redactor: &mut Redactor) -> Self {
        match self {
            Self::String(text) => Self::String(text.share_named(name, redactor)),
            Self::Array(values) => Self::Array(values.share_named(name, redactor)),
            Self::Object(fields) => {
                let mut shared = serde_json::Map::new();
                for (key, value) in fields {
                    let value = value.share_named(&key, redactor);
                    let key = unused(key.share(redactor), |key| shared.contains_key(key));
                    shared.insert(key, value);
                }
                Self::Object(shared)
            }
            other => other,
        }
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Share for $number {
            fn share(self, _: &mut Redactor) -> Self {
                self
            }
        }
    )*};
}

numbers!(f64 u64 u32 i32 bool);

/// The name of a program that ran beside a command.
pub fn program(name: String, redactor: &mut Redactor) -> String {
    if is_known_program(&name) { name } else { redactor.stand_in(Kind::Process, &name) }
}

/// Whether it may be named.
pub fn is_known_program(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// Says for each field of a type what a stranger may see of it.
macro_rules! share {
    ($type:ident {
        $(keep $keep:ident $(, $kept:ident)*;)?
        $(clean $clean:ident $(, $cleaned:ident)*;)?
        $(leave_out $out:ident $(, $left:ident)*;)?
    }) => {
        impl $crate::run::Share for $type {
            fn share(self, redactor: &mut $crate::redact::Redactor) -> Self {
                let Self {
                    $($keep, $($kept,)*)?
                    $($clean, $($cleaned,)*)?
                    $($out: _, $($left: _,)*)?
                } = self;
                let _ = &redactor;
                Self {
                    $($keep, $($kept,)*)?
                    $(
                        $clean: $crate::run::Share::share($clean, redactor),
                        $($cleaned: $crate::run::Share::share($cleaned, redactor),)*
                    )?
                    $($out: Default::default(), $($left: Default::default(),)*)?
                }
            }
        }
    };
}

pub(crate) use share;
